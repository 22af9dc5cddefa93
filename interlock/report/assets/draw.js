// What the charts share: colours of the theme, text put on the page as text, and a window over a long list.

const ROW_MIN = 14;
const ROW_MAX = 48;

const COLOURS = [
  "bg", "panel", "text", "muted", "line", "accent", "select", "fault", "theirs", "ours", "sent", "ack", "partial",
  "cancel", "unknown", "filled", "ended", "refused",
];
let palette = null;

/** The colours of the theme by name; a canvas cannot read them from the style itself. */
function colours() {
  if (!palette) {
    const probe = document.body.appendChild(element("span"));
    palette = {};
    for (const name of COLOURS) {
      probe.style.color = `var(--${name})`;
      palette[name] = getComputedStyle(probe).color;
    }
    probe.remove();
  }
  return palette;
}

function forgetColours() {
  palette = null;
}

/** An element with text, which is never markup. */
function element(tag, text = "", name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

/** Fill a <dl> with [name, value or element]. */
function facts(list, pairs) {
  list.replaceChildren(
    ...pairs.map(([name, value]) => {
      const pair = element("div");
      const told = element("dd", value instanceof Node ? "" : value);
      if (value instanceof Node) told.append(value);
      pair.append(element("dt", name), told);
      return pair;
    }),
  );
}

/** Fill a <select> with [value, text]. */
function choices(select, pairs) {
  select.replaceChildren(
    ...pairs.map(([value, text]) => {
      const option = element("option", text);
      option.value = value;
      return option;
    }),
  );
}

function shorten(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/**
 * A long list behind a chart: the browser scrolls it, and only the rows in sight are drawn, on one canvas.
 * `draw(chart, first, count, height)` draws them; `first` may be a fraction. Heights in pixels.
 */
class Scroller {
  constructor(host, { top, bottom, height, draw, pick }) {
    Object.assign(this, { host, top, bottom, height, draw, pick, count: 0, selected: -1, asked: false });
    this.spacer = host.querySelector(".spacer");
    this.chart = echarts.init(host.querySelector(".stage"), null, { renderer: "canvas" });
    host.addEventListener("scroll", () => this.refresh(), { passive: true });
    host.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => {
      this.chart.resize();
      this.measure();
    }).observe(host);
    this.chart.getZr().on("click", (event) => {
      const at = Math.floor(host.scrollTop / this.height + (event.offsetY - top) / this.height);
      if (event.offsetY >= top && event.offsetY < host.clientHeight - bottom) this.select(at);
    });
  }

  get room() {
    return Math.max(1, this.host.clientHeight - this.top - this.bottom);
  }

  /** Show `count` rows, the selected one first if there is one. */
  show(count, selected = -1) {
    this.count = count;
    this.selected = Math.min(selected, count - 1);
    this.measure();
    this.host.scrollTop = 0;
    if (this.selected >= 0) this.reveal(this.selected, true);
    this.refresh();
  }

  measure() {
    this.spacer.style.height = `${Math.max(0, this.count * this.height - this.room)}px`;
    this.refresh();
  }

  refresh() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw(this.chart, this.host.scrollTop / this.height, this.room / this.height, this.height);
    });
  }

  reveal(at, centred = false) {
    const begin = at * this.height;
    const { scrollTop } = this.host;
    if (centred) this.host.scrollTop = begin - this.room / 2;
    else if (begin < scrollTop) this.host.scrollTop = begin;
    else if (begin + this.height > scrollTop + this.room) this.host.scrollTop = begin + this.height - this.room;
  }

  select(at, centred = false) {
    if (!this.count) return;
    this.selected = Math.max(0, Math.min(this.count - 1, at));
    this.reveal(this.selected, centred);
    this.refresh();
    this.pick(this.selected);
  }

  zoom(by) {
    this.height = Math.max(ROW_MIN, Math.min(ROW_MAX, this.height + by));
    this.measure();
    if (this.selected >= 0) this.reveal(this.selected, true);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.room / this.height) - 1);
    const moves = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) {
      const from = this.selected < 0 ? Math.ceil(this.host.scrollTop / this.height) - 1 : this.selected;
      this.select(from + moves[event.key]);
    } else if (event.key === "+" || event.key === "-") {
      this.zoom(event.key === "+" ? 4 : -4);
    } else return;
    event.preventDefault();
  }
}
