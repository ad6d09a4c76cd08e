"use strict";
// The page of a report: a map of all calls, a panel for one, rows that sort; what one kind of report has besides is in
// report_kinds.js, the charts in report_charts.js.
const data = JSON.parse(document.getElementById("data").textContent);
const { table, run, required } = data;
const programs = data.static ? data.static.programs : [];
const $ = id => document.getElementById(id);

function el(tag, text, cls) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = text;
  if (cls) node.className = cls;
  return node;
}
function add(parent, ...children) { parent.append(...children); return parent; }
const number = n => n.toLocaleString("en");
const sum = values => Object.values(values).reduce((a, b) => a + b, 0);
function time(ns) {
  if (ns < 1e4) return `${Math.round(ns)} ns`;
  if (ns < 1e7) return `${number(Math.round(ns / 1e3))} \u00b5s`;
  return ns < 1e9 ? `${number(Math.round(ns / 1e5) / 10)} ms` : `${number(Math.round(ns / 1e8) / 10)} s`;
}

// --- values, their colours and the schemes that colour the map

const COLOURS = {
  FULL: "--good", PARTIAL: "--fair", FAKE: "--mild", STUB: "--weak", REFUSED: "--bad",
  own: "--own", native: "--good", bridged: "--mild", absent: "--bad", unserved: "--none",
  implemented: "--good", partial: "--fair", stub: "--mild", unimplemented: "--bad", "never listed": "--none",
  "in Linux 4.4": "--good", newer: "--weak",
  "in the list": "--good", "not in the list": "--none",
  used: "--good", "all failed": "--weak", "not used": "--none",
  reached: "--good", "in its libraries": "--mild", "not there": "--none",
  "either way": "--good", stubbable: "--fair", fakeable: "--mild", required: "--bad",
};
const ORDER = Object.keys(COLOURS);
const variable = value => COLOURS[value] || "--none";
const colour = value => `var(${variable(value)})`;
const HOSTS = Object.keys(table.calls[0].hosts);

const used = {};
if (run) for (const call of run.calls) used[call.number] = call;
const judged = {};
if (required) for (const call of required.calls) judged[call.number] = call;
let program = programs[0] || null;
const reached = {};
function choose(one) {
  program = one;
  for (const key of Object.keys(reached)) delete reached[key];
  if (one) for (const call of one.calls) reached[call.number] = call;
}
choose(program);

function usage(row) {
  const seen = used[row.number];
  if (!seen) return "not used";
  return seen.count && sum(seen.errors) === seen.count ? "all failed" : "used";
}
function presence(row) {
  if (reached[row.number]) return "reached";
  return program.present.includes(row.name) ? "in its libraries" : "not there";
}
function version(text) { return text.split(".").reduce((total, part, place) => total + part / 1000 ** place, 0); }
const listed = name => row => row.others.includes(name) ? "in the list" : "not in the list";

const SCHEMES = {};
if (run) SCHEMES["this run"] = usage;
if (program) SCHEMES["this program"] = presence;
if (required) SCHEMES["needed"] = row => judged[row.number] ? judged[row.number].verdict : "not used";
SCHEMES["pylx"] = row => row.level;
for (const host of HOSTS) SCHEMES[`host ${host}`] = row => row.hosts[host];
SCHEMES["WSL 1"] = row => row.wsl1;
SCHEMES["Linux 4.4"] = row => version(row.since) > version("4.4") ? "newer" : "in Linux 4.4";
SCHEMES["gVisor"] = listed("gvisor");
SCHEMES["FreeBSD"] = listed("freebsd");
let scheme = Object.keys(SCHEMES)[0], selected = null, wanted = "";
let sort = run ? ["count", -1] : required ? ["verdict", -1] : program ? ["reach", 1] : ["number", 1];

function dot(value, shown) {
  const node = el("span", shown || value, "dot");
  node.style.setProperty("--c", colour(value));
  return node;
}
// Text with the issues of WSL in it as links.
function linked(text) {
  const out = document.createDocumentFragment();
  let last = 0;
  if (!/WSL#/.test(text)) { out.append(text); return out; }
  for (const match of text.matchAll(/(?:microsoft\/)?WSL#(\d+)|(?<=[ ,])#(\d+)/g)) {
    const link = el("a", match[0]);
    link.href = `https://github.com/microsoft/WSL/issues/${match[1] || match[2]}`;
    out.append(text.slice(last, match.index), link);
    last = match.index + match[0].length;
  }
  out.append(text.slice(last));
  return out;
}
function matches(row) {
  if (!wanted) return true;
  const text = [row.name, row.number, row.note, row.needs.join(" "), row.group, row.theme, row.level, row.wsl1];
  return text.join(" ").toLowerCase().includes(wanted);
}

// --- the map

function drawSchemes() {
  $("schemes").replaceChildren(...Object.keys(SCHEMES).map(name => {
    const button = el("button", name, name === scheme ? "on" : "");
    button.setAttribute("aria-pressed", name === scheme);
    button.onclick = () => { scheme = name; drawSchemes(); drawMap(); };
    return button;
  }));
}
function drawMap() {
  const counts = {};
  $("map").replaceChildren(...table.calls.map(row => {
    const value = SCHEMES[scheme](row);
    counts[value] = (counts[value] || 0) + 1;
    const cell = el("button", row.number, [matches(row) ? "" : "dim", selected === row ? "sel" : "",
      variable(value) === "--none" ? "none" : ""].join(" "));
    cell.style.background = colour(value);
    cell.title = `${row.number} ${row.name}: ${value}${row.note ? " - " + row.note : ""}`;
    cell.setAttribute("aria-label", cell.title);
    cell.onclick = () => select(row);
    return cell;
  }));
  const shown = Object.keys(counts).sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
  $("legend").replaceChildren(...shown.map(value => dot(value, `${value} ${counts[value]}`)));
}
$("map").onkeydown = event => {
  const cells = [...$("map").children], at = cells.indexOf(document.activeElement);
  const across = getComputedStyle($("map")).gridTemplateColumns.split(" ").length;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[event.key];
  if (at >= 0 && step && cells[at + step]) { event.preventDefault(); cells[at + step].focus(); }
};
function select(row) {
  selected = row;
  history.replaceState(null, "", `#${row.name}`);
  drawMap();
  drawPanel();
  drawRows();
}

// --- the panel of one call

function facts(pairs) {
  const list = el("dl");
  for (const [name, ...value] of pairs) {
    if (value.some(part => part !== "")) add(list, el("dt", name), add(el("dd"), ...value));
  }
  return list;
}
function drawPanel() {
  const panel = $("panel"), row = selected;
  panel.replaceChildren();
  panel.scrollTop = 0;
  if (!row) { drawLegend(panel); return; }
  add(panel, el("h2", row.name), el("code", `${row.name}(${row.args.join(", ")})`));
  const flags = Object.entries(row.unsupported).map(([name, value]) => `${name}=0x${value.toString(16)}`).join(" ");
  const loupe = row.loupe ? `used by ${row.loupe.used} of 125 workloads, required by ${row.loupe.required}` : "";
  add(panel, facts([
    ["number", `${row.number}, since Linux ${row.since}`], ["pylx", dot(row.level), row.note ? ` ${row.note}` : ""],
    ["not served", flags ? el("code", flags) : ""], ...HOSTS.map(host => [host, dot(row.hosts[host])]),
    ["WSL 1", dot(row.wsl1)], ["others", row.others.join(", ") || "in no list"], ["Loupe", loupe],
    ["without it", row.without]]));
  kindPanel(panel, row);
  if (row.needs.length) add(panel, el("h3", "Asks of the host"), ...row.needs.map(need));
  if (row.gaps.length || row.results.length) {
    const list = el("ul");
    for (const gap of row.gaps) {
      const why = linked(`${gap.reason} (${gap.source})`);
      add(list, add(el("li"), el("b", gap.feature + ". "), `${gap.interfaces}. `, why));
    }
    for (const seen of row.results) {
      add(list, add(el("li"), linked(`${seen.operation} \u2192 ${seen.result}, seen at ${seen.at} (${seen.source})`)));
    }
    add(panel, el("h3", "On WSL 1"), list);
  }
}
function need(name) {
  const primitive = table.primitives.find(one => one.primitive === name), list = el("ul");
  for (const host of HOSTS) {
    const level = primitive.hosts[host];
    const source = host === "nt" && level.level !== "native" ? ` (${primitive.nt_source})` : "";
    add(list, add(el("li"), `${host} `, dot(level.level), level.note ? " " : "", linked(level.note + source)));
  }
  return add(el("div"), el("code", name), ` ${primitive.meaning}`, list);
}
function drawLegend(panel) {
  add(panel, el("h2", "A call"), el("p", "Click a cell of the map or a row of the table: what pylx does, what hosts " +
    "have for it, what WSL 1 did and why. Arrow keys move in the map.", "soft"));
  const levels = el("dl");
  for (const [level, words] of Object.entries(table.words)) {
    add(levels, el("dt"), add(el("dd"), dot(level), ` ${words}`));
  }
  levels.style.gridTemplateColumns = "0 1fr";
  add(panel, el("h3", "Levels"), levels, el("h3", "Hosts"), el("p", "own: nothing is asked of the host; native, " +
    "bridged, absent: the primitives that it needs; unserved: a stub or refused everywhere.", "soft"));
}

// --- the rows

const COLUMNS = [["number", "nr", "n"], ["name", "name"], ...kindColumns(), ["level", "pylx"], ["since", "since"],
  ...HOSTS.map(host => [`host:${host}`, host]), ["wsl1", "WSL 1"], ["note", "note", "long"]];

function valueOf(row, key) {
  if (key.startsWith("host:")) return row.hosts[key.slice(5)];
  const value = kindValue(row, key);
  return value === undefined ? row[key] : value;
}
function rank(row, key) {
  const value = valueOf(row, key);
  if (key === "since") return version(value);
  const place = ORDER.indexOf(value);
  return typeof value === "string" && place >= 0 ? place : value;
}
function compare(a, b) {
  const x = rank(a, sort[0]), y = rank(b, sort[0]);
  return x === y ? a.number - b.number : (x < y ? -1 : 1) * sort[1];
}
function drawRows() {
  $("head").replaceChildren(add(el("tr"), ...COLUMNS.map(([key, name, cls]) => {
    const direction = sort[0] === key ? (sort[1] > 0 ? "up" : "down") : "";
    const head = el("th", name, [cls === "n" ? "n" : "", direction].join(" "));
    head.tabIndex = 0;
    head.onclick = () => {
      sort = [key, sort[0] === key ? -sort[1] : (cls === "n" && key !== "number" ? -1 : 1)];
      drawRows();
    };
    head.onkeydown = event => { if (event.key === "Enter") head.onclick(); };
    return head;
  })));
  const rows = table.calls.filter(matches).sort(compare);
  $("count").textContent = rows.length === table.calls.length ? `All ${rows.length} calls` : `${rows.length} calls`;
  $("rows").replaceChildren(...rows.map(row => {
    const line = el("tr", undefined, selected === row ? "sel" : "");
    line.onclick = () => { select(row); if (innerWidth <= 1020) $("panel").scrollIntoView(); };
    return add(line, ...COLUMNS.map(([key, , cls]) => {
      const value = valueOf(row, key), cell = el("td", undefined, cls);
      if (key === "name") add(cell, el("code", value));
      else if (COLOURS[value]) add(cell, dot(value));
      else if (cls === "n" && key !== "number") cell.textContent = value ? number(value) : "";
      else cell.textContent = value;
      return cell;
    }));
  }));
}
$("filter").oninput = event => {
  wanted = event.target.value.trim().toLowerCase();
  drawMap();
  drawRows();
};
