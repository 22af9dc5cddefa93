// Puts the page together: one filter for all of it, keys, and the theme.

const THEMES = { system: "light", light: "dark", dark: "system" };

const data = readData();
const rows = new Rows(data);
const form = document.getElementById("filter");
const fields = Object.fromEntries(["find", "order", "actor", "kind"].map((id) => [id, document.getElementById(id)]));

function wanted() {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));
}

/** Whether a row of a table belongs to what is looked for: its order, where it has one, and its text. */
function belongs(one) {
  const { find, order } = wanted();
  if (order && one.order !== undefined && one.order !== order) return false;
  return !find.trim() || JSON.stringify(one).toLowerCase().includes(find.trim().toLowerCase());
}

function detail(row) {
  if (!row) {
    facts(document.getElementById("detail"), [["row", "none is selected: click one, or use the arrow keys"]]);
    return;
  }
  const only = element("button", row.order, "link");
  only.type = "button";
  only.addEventListener("click", () => choose(row.order));
  const to = row.receiver ? [["to", row.receiver], ["way", row.way]] : [["what", row.way]];
  facts(document.getElementById("detail"), [
    ["time", clock(row.t)],
    ["step", row.step ? String(row.step) : "-"],
    ["from", row.sender],
    ...to,
    ["type", row.kind],
    ...(row.order ? [["order", only]] : []),
    ["content", row.text || "-"],
  ]);
}

const sequence = new Sequence(data, rows, detail);
const lanes = new Lanes(data, (key) => choose(key));
const books = new BookChart(data);
const jump = (one) => {
  const number = rows.near(one.seq, one.t_ns);
  if (!sequence.shown.includes(number)) form.reset();
  sequence.jump(number);
};
const tables = [
  new Table("findings", FINDING_COLUMNS, data.findings, jump),
  new Table("alerts", ALERT_COLUMNS, data.alerts, jump),
  new Table("trips", TRIP_COLUMNS, data.trips, jump),
];

function apply() {
  const selected = sequence.selected?.number ?? -1;
  const filter = wanted();
  const numbers = rows.matching(filter);
  sequence.show(numbers, selected);
  detail(sequence.selected);
  lanes.show(filter.order);
  tables.forEach((table) => table.show(belongs));
  document.getElementById("shown").textContent = `${numbers.length} of ${rows.length} rows`;
}

function choose(order) {
  fields.order.value = order;
  apply();
}

function showTheme(theme) {
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  document.getElementById("theme").textContent = `Theme: ${theme}`;
  forgetColours();
  sequence.scroller.refresh();
  lanes.scroller.refresh();
  books.redraw();
}

/** Leave a part of the page with one sentence, where there is nothing to draw. */
function empty(id, text) {
  const part = document.getElementById(id);
  for (const child of part.children) child.hidden = child.tagName !== "H2";
  part.append(element("p", text, "help"));
}

function begin() {
  document.getElementById("run").textContent = Object.fromEntries(data.facts).run ?? "";
  document.getElementById("notes").append(...data.notes.map((note) => element("p", note, "note")));
  facts(document.getElementById("facts"), data.facts);
  choices(fields.order, [["", "any"], ...data.orders.map((order) => [order.key, named(order)])]);
  choices(fields.actor, [["", "any"], ...data.actors.map((actor) => [actor, actor])]);
  choices(fields.kind, [["", "any"], ...rows.kinds().map(([kind, count]) => [kind, `${kind} (${count})`])]);
  choices(document.getElementById("book"), books.names().map((name) => [name, name || "cash"]));
  books.show(books.names()[0] ?? "");
  if (!data.orders.length) empty("lives", "No order was sent.");
  if (!books.names().length) empty("books", "Nothing was booked.");
  apply();
}

form.addEventListener("input", apply);
form.addEventListener("submit", (event) => event.preventDefault());
// The fields have their first values again only after the event.
form.addEventListener("reset", () => {
  Object.values(fields).forEach((field) => (field.value = ""));
  apply();
});
document.getElementById("book").addEventListener("input", (event) => books.show(event.target.value));
document.getElementById("theme").addEventListener("click", () => {
  showTheme(THEMES[document.documentElement.dataset.theme ?? "system"]);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  showTheme(document.documentElement.dataset.theme ?? "system");
});
sequence.scroller.host.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && sequence.selected?.order) choose(sequence.selected.order);
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    fields.find.focus();
  } else if (event.key === "Escape" && Object.values(wanted()).some(Boolean)) {
    form.reset();
  }
});

begin();
document.documentElement.dataset.ready = "yes";
