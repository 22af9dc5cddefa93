// Both books of one thing, a position or cash, over time: above the two, below ours less theirs, findings marked.

class BookChart {
  constructor(data) {
    this.data = data;
    this.chart = echarts.init(document.getElementById("book-chart"), null, { renderer: "canvas" });
    this.name = "";
    new ResizeObserver(() => this.chart.resize()).observe(document.getElementById("book-chart"));
  }

  /** Names of what is booked: symbols, and "" for cash. */
  names() {
    const all = new Set([...Object.keys(this.data.ours), ...Object.keys(this.data.theirs)]);
    return [...all].sort((a, b) => (a === "") - (b === "") || (a < b ? -1 : 1));
  }

  show(name) {
    this.name = name;
    const ours = this.data.ours[name] ?? [];
    const theirs = this.data.theirs[name] ?? [];
    const found = this.data.findings.filter((one) => (name ? one.symbol === name : one.type === "CASH"));
    const told = [["ours", ours], ["the broker's", theirs]].filter(([, points]) => points.length);
    const ends = told.map(([who, points]) => `${who} ends at ${points[points.length - 1][1]}`);
    const text = `${name || "Cash"}: ${ends.join(", ")}; ${found.length} findings.`;
    document.getElementById("book-text").textContent = text;
    this.draw(ours, theirs, found);
  }

  redraw() {
    this.show(this.name);
  }

  draw(ours, theirs, found) {
    const paint = colours();
    const end = Math.max(this.data.end_ns, 1);
    const steps = (points) => [...points, ...points.slice(-1).map(([, value]) => [end, value])];
    const line = (name, points, color, lineStyle, at) => ({
      name, type: "line", step: "end", symbol: "none", data: points, color, lineStyle, xAxisIndex: at, yAxisIndex: at,
    });
    const height = (one) => Number(heldAt(ours, one.t_ns) ?? heldAt(theirs, one.t_ns) ?? 0);
    const marks = found.map((one) => ({ name: one.text, value: [one.t_ns, height(one)] }));
    const axis = { axisLine: { onZero: false, lineStyle: { color: paint.line } }, splitLine: { lineStyle: { color: paint.line } } };
    const label = { color: paint.muted, hideOverlap: true };
    const time = { type: "value", min: 0, max: end, ...axis };
    const amount = { type: "value", scale: true, axisLabel: label, nameTextStyle: { color: paint.muted }, ...axis };
    this.chart.setOption(
      {
        animation: false,
        legend: { top: 6, textStyle: { color: paint.text }, selectedMode: true },
        tooltip: {
          trigger: "axis",
          renderMode: "richText",
          backgroundColor: paint.panel,
          borderColor: paint.line,
          textStyle: { color: paint.text },
          axisPointer: { type: "line" },
          formatter: (params) => this.tip(params, ours, theirs, found),
        },
        axisPointer: { link: [{ xAxisIndex: "all" }] },
        grid: [
          { left: 90, right: 44, top: 44, height: 190 },
          { left: 90, right: 44, top: 268, height: 70 },
        ],
        xAxis: [
          { ...time, gridIndex: 0, axisLabel: { show: false } },
          { ...time, gridIndex: 1, axisLabel: { ...label, formatter: clock } },
        ],
        yAxis: [
          { ...amount, gridIndex: 0, name: this.name || "cash" },
          { ...amount, gridIndex: 1, splitNumber: 2, name: theirs.length ? "ours less theirs" : "" },
        ],
        dataZoom: [
          { type: "slider", xAxisIndex: [0, 1], bottom: 10, height: 22, filterMode: "none", labelFormatter: (value) => clock(value), textStyle: { color: paint.muted } },
          { type: "inside", xAxisIndex: [0, 1], filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false },
        ],
        series: [
          line("the broker's", steps(theirs), paint.theirs, { width: 5, opacity: 0.55 }, 0),
          line("ours", steps(ours), paint.ours, { width: 2 }, 0),
          { name: "findings", type: "scatter", symbol: "triangle", symbolSize: 13, color: paint.fault, data: marks, z: 5 },
          { ...line("ours less theirs", difference(ours, theirs, end), paint.fault, { width: 2 }, 1), areaStyle: { opacity: 0.2 } },
        ],
      },
      { notMerge: true },
    );
  }

  tip(params, ours, theirs, found) {
    const list = Array.isArray(params) ? params : [params];
    const t = Number(list[0]?.axisValue ?? list[0]?.value?.[0] ?? 0);
    const lines = [clock(t), `ours ${heldAt(ours, t) ?? "-"}`, `the broker's ${heldAt(theirs, t) ?? "-"}`];
    for (const one of found.filter((each) => Math.abs(each.t_ns - t) < NS_PER_S).slice(0, 5)) lines.push(one.text);
    return lines.join("\n");
  }
}

/** Ours less theirs as points, at each change of either; empty where one side is not known. */
function difference(ours, theirs, end) {
  if (!ours.length || !theirs.length) return [];
  const times = [...new Set([...ours, ...theirs].map(([t]) => t))].sort((a, b) => a - b);
  const points = [];
  let [left, right] = [-1, -1];
  for (const t of [...times, end]) {
    while (left + 1 < ours.length && ours[left + 1][0] <= t) left += 1;
    while (right + 1 < theirs.length && theirs[right + 1][0] <= t) right += 1;
    if (left >= 0 && right >= 0) points.push([t, Number((ours[left][1] - theirs[right][1]).toPrecision(12))]);
  }
  return points;
}
