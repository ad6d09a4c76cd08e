// What a run, a static analysis and a search for required calls show besides the table.

function tile(value, name) { return add(el("div", undefined, "card"), el("b", value), el("span", name, "soft")); }
const hex = value => "0x" + value.toString(16);
const base = path => path.replace(/.*\//, "");
function place(site) {
  const name = site.symbol || hex(site.offset);
  return `${name} in ${site.file || "memory of no file"}${site.called_from ? ", called from " + site.called_from : ""}`;
}
function verdictCard(verdict) {
  const head = verdict.verdict === "lacks" ? "lacks some of it" : verdict.verdict;
  const card = add(el("section", undefined, `card verdict ${verdict.verdict}`),
    el("h2", `${verdict.system}: ${head}`), el("div", verdict.words));
  const serious = verdict.findings.filter(finding => finding.effect !== "fallback");
  const mild = verdict.findings.filter(finding => finding.effect === "fallback");
  if (serious.length) add(card, add(el("ul"), ...serious.slice(0, 10).map(finding => {
    const source = finding.source && finding.source !== "-" ? ` (${finding.source})` : "";
    return add(el("li"), el("code", finding.what), ` \u2192 ${finding.answer}: `, linked(finding.reason + source));
  })));
  if (serious.length > 10) add(card, el("div", `and ${serious.length - 10} more`, "soft"));
  if (mild.length) add(card, el("div", `done without: ${mild.map(finding => finding.what).join(", ")}`, "soft"));
  return card;
}
function verdictCards(verdicts) {
  return add(el("div", undefined, "grid three"), ...Object.values(verdicts).map(verdictCard));
}

// --- the head of the page

function drawRun() {
  const operations = Object.values(run.host_operations).reduce((total, one) => total + one.count, 0);
  add($("kind"), add(el("div", undefined, "grid tiles"), tile(number(run.count), "system calls"),
    tile(run.calls.length, "kinds"), tile(number(operations), "host operations"), tile(run.processes, "processes"),
    tile(time(run.wall_ns), "wall time"), tile(time(run.kernel_ns), "in the kernel"),
    tile(run.signal || run.exit_status, run.signal ? "killed by signal" : "exit status")), verdictCards(run.verdicts));
  if (run.profile) {
    add($("kind"), add(el("section", undefined, "card"), el("h2", `Met of the profile ${run.profile.title}`),
      run.profile.lines.length ? add(el("ul"), ...run.profile.lines.map(line => add(el("li"), linked(line))))
        : el("div", "nothing: every answer was this kernel's own", "soft")));
  }
  if (!run.gaps.length) return;
  add($("kind"), add(el("section", undefined, "card"), el("h2", "Gaps met"), add(el("ul"), ...run.gaps.map(gap => {
    const value = gap.reason ? "" : ` ${hex(gap.value)}`;
    const times = gap.count === 1 ? "once" : `${number(gap.count)} times`;
    return add(el("li"), el("code", gap.what + value), ` ${gap.kind}, ${times}${gap.reason ? ": " + gap.reason : ""}`,
      gap.site ? el("div", `first by ${gap.site.comm} at ${place(gap.site)}`, "soft") : "");
  }))));
}
function drawStatic() {
  const head = $("kind");
  head.replaceChildren();
  if (programs.length > 1) {
    const choices = add(el("div", undefined, "bar tight"), ...programs.slice(0, 60).map(one => {
      const button = el("button", base(one.path), `choice ${one === program ? "on" : ""}`);
      button.title = one.path;
      button.onclick = () => { choose(one); drawAll(); };
      return button;
    }));
    add(head, add(el("section", undefined, "card grid"), choices));
  }
  const functions = program.files.reduce((total, file) => total + file.reached, 0);
  add(head, add(el("div", undefined, "grid tiles"), tile(program.calls.length, "calls it can make"),
    tile(program.present.length, "more in its files, not reached"), tile(number(functions), "functions reached"),
    tile(program.files.length, "files"), tile(program.unknown_count, "numbers unknown")));
  add(head, verdictCards(program.verdicts));
}
function drawRequired() {
  const counts = required.counts, together = required.together;
  add($("kind"), add(el("div", undefined, "grid tiles"), ...Object.entries(counts).map(([verdict, count]) =>
    tile(count, verdict)), tile(required.runs, "runs"), tile(time(required.alone_ns), "alone"),
  tile(together.works ? "works" : together.how, "all answered together")));
}

// --- the panel

function kindPanel(panel, row) {
  const seen = used[row.number], found = reached[row.number], verdict = judged[row.number];
  if (seen) {
    const errors = Object.entries(seen.errors).map(([name, count]) => `${name} ${count}`).join(", ");
    const host = Object.entries(seen.host).map(([name, one]) => `${name} ${number(one.count)}`).join(", ");
    const each = time(seen.kernel_ns / Math.max(1, seen.count));
    add(panel, el("h3", "In this run"), facts([
      ["calls", `${number(seen.count)}, ${each} each, longest ${time(seen.longest_ns)}`],
      ["slept", seen.waited_ns ? time(seen.waited_ns) : ""], ["errors", errors], ["host", host],
      ["first at", place(seen.site)]]));
    if (seen.values.length && seen.values[0].values) {
      const shown = seen.values.slice(0, 25).map(value => {
        const failed = value.failed ? ` (${value.failed} failed)` : "";
        return el("li", `${number(value.count)} \u00d7 ${value.values}${failed}`, "mono");
      });
      add(panel, el("h3", "Values"), add(el("ul"), ...shown));
    }
  }
  if (found) {
    const site = `${found.site.function || hex(found.site.address)} in ${found.site.file}`;
    add(panel, el("h3", "In this program"), facts([["made in", site], ["values", found.values.join("; ")]]));
    if (found.chain.length) {
      const steps = found.chain.map(step => el("li", step, "mono"));
      add(panel, el("h3", "Reached by"), add(el("ol", undefined, "way"), ...steps));
    }
  }
  if (verdict) {
    const told = one => one.works ? "works" : one.how;
    add(panel, el("h3", "Can it be missing?"), facts([
      ["verdict", dot(verdict.verdict)], ["calls", number(verdict.count)],
      ["ENOSYS", told(verdict.stub)], ["faked", told(verdict.fake)]]));
  }
}

// --- columns of the rows

function kindColumns() {
  if (run) return [["count", "calls", "n"], ["ns", "ns/call", "n"], ["errors", "errors"]];
  if (required) return [["count", "calls", "n"], ["verdict", "needed"], ["stub", "with ENOSYS", "line"],
    ["fake", "faked", "line"]];
  return program ? [["reach", "this program"]] : [];
}
function kindValue(row, key) {
  const seen = used[row.number], verdict = judged[row.number];
  switch (key) {
    case "count": return seen ? seen.count : verdict ? verdict.count : 0;
    case "ns": return seen ? Math.round(seen.kernel_ns / Math.max(1, seen.count)) : 0;
    case "errors": return seen ? Object.entries(seen.errors).map(([name, count]) => `${name} ${count}`).join(" ") : "";
    case "reach": return presence(row);
    case "verdict": return verdict ? verdict.verdict : "not used";
    case "stub": case "fake": return verdict ? (verdict[key].works ? "works" : verdict[key].how) : "";
    default: return undefined;
  }
}
