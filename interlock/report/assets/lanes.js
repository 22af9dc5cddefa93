// The lives of all orders: a lane for each, a bar for each state it was in.

const STATE_COLOURS = {
  SENT: "sent",
  ACK: "ack",
  PARTIAL: "partial",
  CANCEL_PENDING: "cancel",
  UNKNOWN: "unknown",
  QUARANTINED: "fault",
  FILLED: "filled",
  CANCELLED: "ended",
  EXPIRED: "ended",
  VOID: "ended",
  REJECTED: "refused",
};

class Lanes {
  constructor(data, onOrder) {
    this.orders = data.orders;
    this.ended = new Set(data.ended);
    this.end = Math.max(data.end_ns, 1);
    this.shown = data.orders;
    this.scroller = new Scroller(document.getElementById("lanes"), {
      top: 8,
      bottom: 74,
      height: 24,
      draw: (...window) => this.draw(...window),
      pick: (at) => this.tell(this.shown[at]),
    });
    this.scroller.host.addEventListener("keydown", (event) => {
      const order = this.shown[this.scroller.selected];
      if (event.key === "Enter" && order) onOrder(order.key);
    });
    this.scroller.chart.getZr().on("dblclick", () => {
      const order = this.shown[this.scroller.selected];
      if (order) onOrder(order.key);
    });
  }

  /** Show all orders, or one with its time filling the lane. */
  show(order) {
    this.shown = order ? this.orders.filter((one) => one.key === order) : this.orders;
    this.scroller.show(this.shown.length, order ? 0 : -1);
    const [begin, last] = order && this.shown.length ? this.span(this.shown[0]) : [0, this.end];
    const pad = order ? Math.max((last - begin) * 0.1, 1e6) : 0;
    // Taken up by the next drawing, which has the new orders as well.
    this.zoom = { startValue: Math.max(0, begin - pad), endValue: Math.min(this.end, last + pad) };
    if (order && this.shown.length) this.tell(this.shown[0]);
    else document.getElementById("life").textContent = "";
  }

  span(order) {
    const last = order.spans[order.spans.length - 1];
    return [order.spans[0][0], this.ended.has(last[1]) ? last[0] : this.end];
  }

  tell(order) {
    const states = order.spans.map(([t, state, filled]) => `${clock(t)} ${state} (${filled})`);
    const many = states.length > 12 ? [...states.slice(0, 6), "…", ...states.slice(-5)] : states;
    document.getElementById("life").textContent = `${named(order)}: ${many.join(", ")}`;
  }

  draw(chart, first, count, height) {
    const paint = colours();
    const from = Math.floor(first);
    const items = [];
    this.shown.slice(from, Math.ceil(first + count) + 1).forEach((order, near) => {
      order.spans.forEach(([t, state], at) => {
        const end = at + 1 < order.spans.length ? order.spans[at + 1][0] : this.ended.has(state) ? t : this.end;
        items.push({ name: state, order, last: at === order.spans.length - 1, value: [t, from + near, end] });
      });
    });
    const axis = { axisLine: { onZero: false, lineStyle: { color: paint.line } }, splitLine: { lineStyle: { color: paint.line } } };
    const { zoom } = this;
    this.zoom = {};
    chart.setOption({
      animation: false,
      grid: { left: 300, right: 110, top: 8, bottom: 74 },
      xAxis: { type: "value", min: 0, max: this.end, axisLabel: { color: paint.muted, formatter: clock, hideOverlap: true }, ...axis },
      yAxis: { type: "value", inverse: true, show: false, min: first - 0.5, max: first - 0.5 + count },
      dataZoom: [
        { type: "slider", bottom: 10, height: 22, filterMode: "none", labelFormatter: (value) => clock(value), textStyle: { color: paint.muted }, ...zoom },
        { type: "inside", filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false, ...zoom },
      ],
      series: [
        {
          id: "spans",
          type: "custom",
          clip: false,
          encode: { x: [0, 2], y: 1 },
          data: items,
          renderItem: (params, api) => this.bar(items[params.dataIndex], api, paint, height, chart.getWidth()),
        },
      ],
    });
  }

  bar({ name, order, last, value: [t, lane, end] }, api, paint, height, width) {
    const left = 300;
    const right = width - 110;
    const y = api.coord([0, lane])[1];
    if (y + height * 0.32 > this.scroller.host.clientHeight - 72) return null;
    const begin = api.coord([t, lane])[0];
    const until = api.coord([end, lane])[0];
    const shownFrom = Math.min(Math.max(begin, left), right);
    const wide = Math.max(Math.min(Math.max(until, left), right) - shownFrom, begin >= left && begin <= right ? 3 : 0);
    const fill = paint[STATE_COLOURS[name]] ?? paint.muted;
    const parts = [];
    if (last && lane === this.scroller.selected) parts.push(box(0, y - height / 2, width, height, paint.select));
    if (wide > 0) parts.push({ type: "rect", silent: true, z2: 2, shape: { x: shownFrom, y: y - height * 0.32, width: wide, height: height * 0.64 }, style: { fill } });
    if (last) {
      parts.push(label(shorten(named(order), 46), 10, y, "left", paint.text, null));
      if (begin >= left && begin <= right) {
        const text = label(name, shownFrom + wide + 4, y, "left", paint.text, null);
        parts.push({ ...text, z2: 3 });
      }
    } else if (wide > name.length * 8) {
      parts.push({ ...label(name, shownFrom + 4, y, "left", "#ffffff", null), z2: 3 });
    }
    return { type: "group", children: parts };
  }
}

/** What an order is called: the decision it came from, else its key. */
function named(order) {
  return `${order.decision || order.key} ${order.side} ${order.quantity} ${order.symbol}`;
}
