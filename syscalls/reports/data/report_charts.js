// Charts, as elements and SVG of this page.

function card(title, ...children) { return add(el("section", undefined, "card"), el("h2", title), ...children); }
function bars(title, items, show) {
  const most = Math.max(1, ...items.map(item => item[1]));
  return card(title, ...items.map(([name, value]) => {
    const fill = el("div"), label = el("code", name);
    fill.style.width = `${100 * value / most}%`;
    label.title = name;
    const track = add(el("div", undefined, "track"), fill);
    return add(el("div", undefined, "hbar"), label, track, el("div", show(value), "value"));
  }));
}
function stacked(name, counts) {
  const total = sum(counts), bar = el("div", undefined, "stack");
  for (const [value, count] of Object.entries(counts)) {
    const part = el("div");
    part.style.cssText = `width:${100 * count / total}%;background:${colour(value)}`;
    part.title = `${value}: ${count}`;
    add(bar, part);
  }
  return add(el("div"), el("div", name), bar);
}
function largest(items, count) { return items.sort((a, b) => b[1] - a[1]).slice(0, count).filter(item => item[1] > 0); }

const THEME_COLOURS = { files: "#5b8def", memory: "#36a672", processes: "#e8934a", waiting: "#9a7be0",
  network: "#d75c5c", signals: "#ebc04a", time: "#4fb6c4", ipc: "#b58863", system: "#8a95a5" };

// Calls over the time of the run, in columns by theme.
function timeline() {
  const NS = "http://www.w3.org/2000/svg", WIDTH = 900, HEIGHT = 190, LEFT = 46, BOTTOM = 22, TOP = 8;
  const make = (tag, attributes, text) => {
    const node = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const { step_ns: step, themes } = run.timeline, names = Object.keys(THEME_COLOURS).filter(name => themes[name]);
  const columns = Math.max(...names.map(name => themes[name].length));
  const totals = [...Array(columns).keys()].map(at => names.reduce((total, name) => total + themes[name][at], 0));
  const most = Math.max(...totals), across = (WIDTH - LEFT) / columns, up = (HEIGHT - BOTTOM - TOP) / most;
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "calls over time" });
  for (const part of [0, 0.5, 1]) {
    const y = HEIGHT - BOTTOM - part * most * up;
    svg.append(make("line", { x1: LEFT, x2: WIDTH, y1: y, y2: y, stroke: "var(--line)" }),
      make("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, number(Math.round(part * most))));
  }
  for (let at = 0; at < columns; at++) {
    let y = HEIGHT - BOTTOM;
    for (const name of names) {
      const height = themes[name][at] * up;
      if (!height) continue;
      y -= height;
      const rect = make("rect", { x: LEFT + at * across, y, width: Math.max(1, across - (across > 4 ? 1 : 0)), height,
        fill: THEME_COLOURS[name] });
      rect.append(make("title", {}, `${time(at * step)}: ${number(themes[name][at])} ${name}`));
      svg.append(rect);
    }
  }
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const anchor = part === 1 ? "end" : part ? "middle" : "start", x = LEFT + part * (WIDTH - LEFT);
    svg.append(make("text", { x, y: HEIGHT - 5, "text-anchor": anchor }, time(part * columns * step)));
  }
  const legend = el("div", undefined, "legend");
  for (const name of names) {
    const entry = el("span", `${name} ${number(sum(themes[name]))}`, "dot");
    entry.style.setProperty("--c", THEME_COLOURS[name]);
    add(legend, entry);
  }
  const out = card("Calls over time", add(el("div", undefined, "scroll"), svg), legend);
  out.classList.add("wide");
  return out;
}
function runCharts(box) {
  const of = value => largest(run.calls.map(call => [call.name, value(call)]), 10);
  if (run.timeline && run.count) add(box, timeline());
  add(box, bars("Kernel time by call", of(call => call.kernel_ns), time));
  add(box, bars("Time of one call", of(call => call.kernel_ns / Math.max(1, call.count)), time));
  add(box, bars("Calls", of(call => call.count), number));
  const operations = largest(Object.entries(run.host_operations).map(([name, one]) => [name, one.count]), 10);
  if (operations.length) add(box, bars("Host operations", operations, number));
  const errors = {};
  for (const call of run.calls) {
    for (const [name, count] of Object.entries(call.errors)) errors[name] = (errors[name] || 0) + count;
  }
  if (sum(errors)) add(box, bars("Errors", largest(Object.entries(errors), 10), number));
}
function staticCharts(box) {
  const themes = {};
  for (const row of table.calls) if (reached[row.number]) themes[row.theme] = (themes[row.theme] || 0) + 1;
  const files = program.files.map(file => [base(file.path), file.reached]);
  add(box, bars("Calls that it can make, by theme", largest(Object.entries(themes), 10), number));
  add(box, bars("Functions reached", files.slice(0, 10), number));
  if (program.unknown_count) {
    add(box, card("Numbers that are computed and stay unknown", add(el("ul"), ...program.unknown.slice(0, 8).map(one =>
      el("li", `${one.function || hex(one.address)} in ${base(one.file)}`, "mono")))));
  }
  if (program.opens) {
    add(box, card("Opens libraries as it runs", el("p", "They are not in this: name them as further paths. " +
      (program.may_open.length ? `Its files name ${program.may_open.join(", ")}.` : ""), "soft")));
  }
}
function tableCharts(box) {
  const levels = card(`All ${table.calls.length} calls`, stacked("pylx", table.counts.level));
  for (const host of HOSTS) add(levels, stacked(`host ${host}`, table.counts[host]));
  add(levels, stacked("WSL 1", table.counts.wsl1));
  const values = ["FULL", "PARTIAL", "FAKE", "STUB", "REFUSED", "own", "native", "bridged", "absent", "unserved"];
  add(levels, add(el("div", undefined, "legend"), ...values.map(value => dot(value))));
  add(box, levels);
  const loupe = table.loupe, own = loupe.systems[0];
  const scores = bars(`Applications served, of ${loupe.applications} (Loupe)`,
    loupe.systems.filter(one => one.system !== "pylx, FULL only").map(one => [one.system, one.satisfied]), number);
  const steps = own.next.slice(0, 3).map(step => `${step.call} (${step.total})`).join(", ");
  const next = steps ? `Next for pylx: ${steps}. ` : "";
  add(scores, el("p", `${next}Served: all calls that it was found to require (Loupe, ASPLOS 2024, ` +
    "CC-BY 4.0); other systems by their lists of 2023.", "soft"));
  add(box, scores);
  if (!run && !program && !required) {
    const themes = {};
    for (const row of table.calls) themes[row.theme] = (themes[row.theme] || 0) + 1;
    add(box, bars("Calls by theme", largest(Object.entries(themes), 10), number));
    add(box, bars("Calls that other layers have (2023)", largest(Object.entries(table.counts.others), 10), number));
  }
}
function drawCharts() {
  const box = $("charts");
  box.replaceChildren();
  if (run) runCharts(box);
  if (program) staticCharts(box);
  tableCharts(box);
}

// --- the whole page

function drawHead() {
  const levels = Object.entries(table.counts.level).map(([level, count]) => `${count} ${level}`).join(", ");
  if (run) {
    $("title").textContent = run.command.join(" ");
    $("subtitle").textContent = `what it asked of its kernel; engine ${run.engine}, host ${run.host}`;
  } else if (program) {
    $("title").textContent = program.path;
    const script = program.script ? ` of ${program.script}` : "";
    $("subtitle").textContent = `${program.what}${script}; found by disassembly, without running it`;
  } else if (required) {
    $("title").textContent = required.command.join(" ");
    $("subtitle").textContent = "which calls it cannot do without: each was once stubbed and once faked" +
      (required.same_output ? "; it works when it ends with 0 and prints the same" : "; it works when it ends with 0");
  } else {
    $("title").textContent = "The system calls of pylx";
    $("subtitle").textContent = levels;
  }
}
function drawAll() {
  drawHead();
  if (program) drawStatic();
  drawSchemes();
  drawMap();
  drawCharts();
  drawPanel();
  drawRows();
}
$("footer").textContent = "Reasons on NT: [S] stated by the source, [I] inferred. Sources: " +
  Object.values(table.sources).join("; ");
if (location.hash) selected = table.calls.find(row => row.name === location.hash.slice(1)) || null;
if (run) drawRun();
if (required) drawRequired();
drawAll();
