// The run as the page holds it: rows by number, and which of them a filter lets through. Nothing here draws.

const NS_PER_S = 1e9;

function readData() {
  return JSON.parse(document.getElementById("data").textContent);
}

/** Time since the beginning, such as 05:07.120; hours only where there are any. */
function clock(ns) {
  const total = Math.floor(ns / 1e6);
  const ms = String(total % 1000).padStart(3, "0");
  const seconds = Math.floor(total / 1000);
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${ms}`;
  return hours ? `${hours}:${rest}` : rest;
}

class Rows {
  constructor(data) {
    this.columns = data.columns;
    this.texts = data.texts;
    this.actors = data.actors;
    this.length = data.columns.t.length;
    this.bySeq = new Map();
    data.columns.seq.forEach((seq, at) => {
      if (seq) this.bySeq.set(seq, at);
    });
    this.lowered = data.texts.map((text) => text.toLowerCase());
  }

  /** One row, its texts looked up. */
  at(number) {
    const { columns, texts, actors } = this;
    return {
      number,
      step: columns.step[number],
      t: columns.t[number],
      from: columns.from[number],
      to: columns.to[number],
      sender: actors[columns.from[number]] ?? "",
      receiver: actors[columns.to[number]] ?? "",
      way: texts[columns.way[number]],
      kind: texts[columns.kind[number]],
      order: texts[columns.order[number]],
      text: texts[columns.text[number]],
    };
  }

  /** How often each type occurs, by name. */
  kinds() {
    const counts = new Map();
    for (const kind of this.columns.kind) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return [...counts].map(([kind, count]) => [this.texts[kind], count]).sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }

  /** Numbers of the rows that a filter lets through: {find, order, actor, kind}, "" for any. */
  matching({ find, order, actor, kind }) {
    const { columns, texts } = this;
    const wanted = find.trim().toLowerCase();
    const hits = wanted ? this.lowered.map((text) => text.includes(wanted)) : null;
    const orderAt = order ? texts.indexOf(order) : null;
    const kindAt = kind ? texts.indexOf(kind) : null;
    const actorAt = actor ? this.actors.indexOf(actor) : null;
    const found = [];
    for (let at = 0; at < this.length; at += 1) {
      if (orderAt !== null && columns.order[at] !== orderAt) continue;
      if (kindAt !== null && columns.kind[at] !== kindAt) continue;
      if (actorAt !== null && columns.from[at] !== actorAt && columns.to[at] !== actorAt) continue;
      if (hits && !(hits[columns.kind[at]] || hits[columns.order[at]] || hits[columns.text[at]])) continue;
      found.push(at);
    }
    return found;
  }

  /** The row of an event by its number in the log, else the first row at or after a time. */
  near(seq, t) {
    if (this.bySeq.has(seq)) return this.bySeq.get(seq);
    const at = this.columns.t.findIndex((time) => time >= t);
    return at < 0 ? this.length - 1 : at;
  }
}

/** What a book held at a time, as text; points are [time, text], oldest first. */
function heldAt(points, t) {
  let held = null;
  for (const [time, value] of points) {
    if (time > t) break;
    held = value;
  }
  return held;
}
