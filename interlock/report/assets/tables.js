// Tables of findings, alerts and trips: every cell is text, and long tables are opened on demand.

const ROWS_AT_FIRST = 200;

class Table {
  /** `columns` are [title, row -> text or element]; `jump(row)` shows the place of a row in the chart. */
  constructor(id, columns, rows, jump) {
    this.host = document.querySelector(`#${id} .table`);
    this.columns = columns;
    this.rows = rows;
    this.jump = jump;
    this.most = ROWS_AT_FIRST;
  }

  show(keep) {
    const kept = this.rows.filter(keep);
    if (!kept.length) {
      this.host.replaceChildren(element("p", this.rows.length ? "None that the filter lets through." : "None.", "help"));
      return;
    }
    const table = element("table");
    const titles = table.createTHead().insertRow();
    for (const [title] of this.columns) {
      const cell = element("th", title);
      cell.scope = "col";
      titles.append(cell);
    }
    const body = table.createTBody();
    for (const row of kept.slice(0, this.most)) this.fill(body.insertRow(), row);
    const parts = [table];
    if (kept.length > this.most) {
      const more = element("button", `Show all ${kept.length}`);
      more.type = "button";
      more.addEventListener("click", () => {
        this.most = Infinity;
        this.show(keep);
      });
      parts.push(more);
    }
    this.host.replaceChildren(...parts);
  }

  fill(line, row) {
    this.columns.forEach(([, tell], at) => {
      const told = tell(row);
      const cell = line.insertCell();
      if (at === 0) {
        const button = element("button", told, "link");
        button.type = "button";
        button.setAttribute("aria-label", `${told}: show in the chart`);
        button.addEventListener("click", () => this.jump(row));
        cell.append(button);
      } else if (told instanceof Node) cell.append(told);
      else cell.textContent = told;
    });
  }
}

function severity(text) {
  return element("span", text, text === "FAIL" || text === "CRITICAL" ? "bad" : "");
}

function pairs(list) {
  const made = document.createDocumentFragment();
  for (const [name, value] of list) made.append(element("span", `${name}: ${value}`, "pair"));
  return made;
}

const FINDING_COLUMNS = [
  ["Time", (one) => clock(one.t_ns)],
  ["Severity", (one) => severity(one.severity)],
  ["Type", (one) => one.type],
  ["Kind", (one) => one.kind],
  ["What", (one) => one.text],
  ["Ours", (one) => one.ours],
  ["The broker's", (one) => one.theirs],
  ["Order", (one) => one.order],
  ["Resolved", (one) => (one.resolved ? "yes" : "no")],
];

const ALERT_COLUMNS = [
  ["Time", (one) => clock(one.t_ns)],
  ["Alert", (one) => one.alert],
  ["About", (one) => one.text],
  ["Told", (one) => (one.told ? "yes" : "held back")],
];

const TRIP_COLUMNS = [
  ["Time", (one) => clock(one.t_ns)],
  ["Code", (one) => severity(one.code)],
  ["What", (one) => one.text],
  ["Evidence", (one) => pairs(one.evidence)],
];
