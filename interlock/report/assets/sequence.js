// The message sequence chart: a lane for each actor, a row for each message, drawn by a custom series of the library.

const MARGIN = 178;
const HEAD = 9;
const LETTER = 7;

const WAYS = {
  data: { width: 1.5, dash: null },
  reply: { width: 1.5, dash: null },
  control: { width: 3, dash: null },
  answer: { width: 1.5, dash: [6, 4] },
  late: { width: 1.5, dash: [2, 4] },
};

class Sequence {
  constructor(data, rows, onPick) {
    this.rows = rows;
    this.gap = data.gap;
    this.shown = [];
    this.onPick = onPick;
    this.scroller = new Scroller(document.getElementById("sequence"), {
      top: 36,
      bottom: 6,
      height: 26,
      draw: (...window) => this.draw(...window),
      pick: (at) => onPick(this.rows.at(this.shown[at])),
    });
  }

  /** Show these rows, by number; keep `number` in sight if it is among them. */
  show(numbers, number = -1) {
    this.shown = numbers;
    this.scroller.show(numbers.length, number < 0 ? -1 : numbers.indexOf(number));
  }

  /** Select a row by its number, or the one that comes after it among those shown. */
  jump(number) {
    const at = this.shown.findIndex((shown) => shown >= number);
    this.scroller.select(at < 0 ? this.shown.length - 1 : at, true);
    this.scroller.host.focus();
  }

  get selected() {
    return this.scroller.selected < 0 ? null : this.rows.at(this.shown[this.scroller.selected]);
  }

  draw(chart, first, count, height) {
    const paint = colours();
    const from = Math.floor(first);
    const numbers = this.shown.slice(from, Math.ceil(first + count) + 1);
    const items = numbers.map((number, at) => {
      const row = this.rows.at(number);
      return { name: row.kind, value: [Math.max(row.from, 0), from + at, number] };
    });
    chart.setOption({
      animation: false,
      grid: { left: MARGIN, right: 24, top: 36, bottom: 6 },
      xAxis: {
        type: "category",
        position: "top",
        data: this.rows.actors,
        axisTick: { show: false },
        axisLine: { onZero: false, lineStyle: { color: paint.line } },
        axisLabel: { color: paint.text, fontWeight: 600, interval: 0 },
        splitLine: { show: false },
      },
      yAxis: { type: "value", inverse: true, show: false, min: first - 0.5, max: first - 0.5 + count },
      series: [
        {
          id: "rows",
          type: "custom",
          clip: false,
          encode: { x: 0, y: 1 },
          data: items,
          renderItem: (_, api) => this.row(api, paint, height),
        },
      ],
    });
  }

  row(api, paint, height) {
    const number = api.value(2);
    const row = this.rows.at(number);
    const [x, y] = api.coord([api.value(0), api.value(1)]);
    if (y < 36 - height / 2) return null;
    const lanes = this.rows.actors.map((_, lane) => api.coord([lane, api.value(1)])[0]);
    const parts = [...this.background(row, lanes, y, height, paint, api.value(1))];
    if (row.to >= 0 && row.from !== row.to) parts.push(...arrow(row, x, lanes[row.to], y, paint));
    else if (row.to >= 0) parts.push(...loop(row, x, y, paint, x > lanes[lanes.length - 1] - 20));
    else parts.push(...mark(row, x, y, paint, api.getWidth()));
    return { type: "group", children: parts };
  }

  background(row, lanes, y, height, paint, at) {
    const right = lanes[lanes.length - 1] + 4000;
    const parts = [];
    const fill = at === this.scroller.selected ? paint.select : row.way === "fault" ? paint.panel : null;
    if (fill) parts.push(box(0, y - height / 2, right, height, fill));
    for (const x of lanes) parts.push(line([[x, y - height / 2], [x, y + height / 2]], paint.line, 1, null));
    if (this.gap[1] && row.number === this.gap[0]) {
      parts.push(line([[0, y - height / 2], [right, y - height / 2]], paint.theirs, 2, [8, 6]));
    }
    const fault = row.way === "fault" ? "▲ " : "";
    const step = row.step ? `  #${row.step}` : "";
    const style = { text: `${fault}${clock(row.t)}${step}`, x: 10, y, fill: fault ? paint.fault : paint.muted };
    parts.push({ type: "text", silent: true, style: { ...style, verticalAlign: "middle", font: "12px ui-monospace, monospace" } });
    return parts;
  }
}

function box(x, y, width, height, fill) {
  return { type: "rect", silent: true, shape: { x, y, width, height }, style: { fill } };
}

function line(points, stroke, lineWidth, lineDash) {
  return { type: "polyline", silent: true, shape: { points }, style: { stroke, lineWidth, lineDash, fill: null } };
}

function head(x, y, side, fill) {
  const points = [[x, y], [x - side * HEAD, y - 4.5], [x - side * HEAD, y + 4.5]];
  return { type: "polygon", silent: true, shape: { points }, style: { fill } };
}

function label(text, x, y, align, fill, background) {
  const style = { text, x, y, fill, align, verticalAlign: "middle", font: "12px system-ui, sans-serif" };
  return { type: "text", silent: true, style: { ...style, backgroundColor: background, padding: [1, 4] } };
}

function arrow(row, from, to, y, paint) {
  const side = Math.sign(to - from);
  const { width, dash } = WAYS[row.way] ?? WAYS.data;
  const colour = row.way === "late" ? paint.muted : row.way === "control" ? paint.fault : paint.accent;
  const room = Math.max(6, Math.floor((Math.abs(to - from) - 24) / LETTER));
  return [
    line([[from, y], [to - side * HEAD, y]], colour, width, dash),
    head(to, y, side, colour),
    label(shorten(row.kind, room), (from + to) / 2, y, "center", paint.text, paint.bg),
  ];
}

function loop(row, x, y, paint, leftwards) {
  const side = leftwards ? -1 : 1;
  const points = [[x, y - 5], [x + side * 22, y - 5], [x + side * 22, y + 5], [x + side * HEAD, y + 5]];
  const text = label(shorten(row.kind, 32), x + side * 28, y, leftwards ? "right" : "left", paint.text, paint.bg);
  return [line(points, paint.accent, 1.5, null), head(x, y + 5, -side, paint.accent), text];
}

function mark(row, x, y, paint, width) {
  const shapes = {
    fault: { type: "polygon", shape: { points: [[x, y - 7], [x - 7, y + 6], [x + 7, y + 6]] }, style: { fill: paint.fault } },
    book: { type: "rect", shape: { x: x - 6, y: y - 6, width: 12, height: 12 }, style: { fill: paint.theirs } },
  };
  const dot = { type: "circle", shape: { cx: x, cy: y, r: 4 }, style: { fill: paint.muted } };
  const leftwards = x - MARGIN > width - x;
  const room = Math.floor(((leftwards ? x - MARGIN : width - x) - 24) / LETTER);
  const colour = { fault: paint.fault, book: paint.theirs }[row.way] ?? paint.muted;
  const text = row.way === "fault" ? row.text : `${row.kind}: ${row.text}`;
  const at = x + (leftwards ? -12 : 12);
  return [
    { ...(shapes[row.way] ?? dot), silent: true },
    label(shorten(text, room), at, y, leftwards ? "right" : "left", colour, paint.bg),
  ];
}
