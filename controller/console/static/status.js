// Shows a status on the page: figures, lifecycle picture, halt panel, progress bars.

import { showAlerts } from "./alerts.js";
import { showConnections } from "./connections.js";
import * as w from "./wording.js";

const ORDER = ["MOCK", "TESTNET_VALIDATING", "VALIDATED", "LIVE_€10", "RAMPING"];
const LIVE = new Set(["LIVE_€10", "RAMPING"]);
const byId = (id) => document.getElementById(id);

function put(name, text) {
  for (const element of document.querySelectorAll(`[data-f="${name}"]`)) {
    if (element.textContent !== text) element.textContent = text;
  }
}

function persons(count) {
  return count === 1 ? "one person" : `${count} persons`;
}

function nextAction(s) {
  if (s.ways_out.length) return `Ways out: ${[...new Set(s.ways_out.map((way) => way.verb))].join(", ")}; see above.`;
  const edge = s.next_edges.find((candidate) => candidate.gate);
  if (!edge) return "No gate leads up from here.";
  const target = edge.target === "RAMPING" ? `RAMPING step ${edge.step}` : edge.target;
  return `Next: ${edge.verb} to ${target} through gate ${edge.gate}, signed by ${persons(edge.persons_needed)}.`;
}

const isRealMoney = (s) => LIVE.has(s.stage) && s.environment === "production";

function notice(s) {
  const parts = [];
  if (s.standby) parts.push(s.standby.line);
  if (s.environment === "rehearsal") parts.push("REHEARSAL: no real money can be reached");
  if (isRealMoney(s)) parts.push("REAL MONEY: orders go to MEXC");
  if (s.simulated) parts.push(`SIMULATED DATA: ${s.source ?? "no source"}`);
  if (s.venue === "testnet" && s.testnet && !s.testnet.attested) {
    parts.push("UNATTESTED: no signature of the testnet's own key vouches for what it shows");
  }
  const element = byId("notice");
  element.textContent = parts.join(" · ");
  element.hidden = parts.length === 0;
  element.classList.toggle("real", isRealMoney(s));
}

export function showLifecycle(s) {
  const rank = ORDER.indexOf(s.stage);
  const ahead = s.next_edges.find((edge) => edge.gate);
  for (const node of document.querySelectorAll(".lifecycle [data-stage]")) {
    node.classList.toggle("current", node.dataset.stage === s.stage);
    node.classList.toggle("from", s.halted_from !== "" && s.halted_from.startsWith(node.dataset.stage));
  }
  for (const gate of document.querySelectorAll(".lifecycle .gate")) {
    gate.classList.toggle("open", ORDER.indexOf(gate.dataset.to) <= rank);
    gate.classList.toggle("ahead", ahead !== undefined && ahead.gate === gate.dataset.gate && ahead.target === gate.dataset.to);
  }
  for (const dot of document.querySelectorAll(".lifecycle .dot")) {
    dot.classList.toggle("done", s.stage === "RAMPING" && Number(dot.dataset.step) <= s.step);
  }
}

function showHalt(s) {
  byId("halt").hidden = s.stage !== "HALTED";
  put("halt_reason", s.halt_reason);
  put("halt_class", s.halt_class ?? w.ABSENT);
  put("halted_from", s.halted_from || w.ABSENT);
  put("breach_to_latch", s.halt ? w.microseconds(s.halt.breach_to_latch_us) : w.ABSENT);
  put("latch_to_cancelled", s.halt ? w.microseconds(s.halt.latch_to_cancelled_us) : w.ABSENT);
  put("cancelled", s.halt ? String(s.halt.cancelled) : w.ABSENT);
  put("verified_empty", s.halt ? (s.halt.verified_empty ? "✔ verified" : "✖ not yet") : w.ABSENT);
}

function showWaysOut(s) {
  byId("ways-out").replaceChildren(
    ...s.ways_out.map((way) => {
      const item = document.createElement("li");
      item.className = way.refused ? "muted" : "";
      item.textContent = way.line;
      return item;
    }),
  );
}

function showStanding(s) {
  const list = byId("standing");
  list.hidden = s.standing.length === 0;
  list.replaceChildren(
    ...s.standing.map((line) => {
      const item = document.createElement("li");
      item.className = "strip warn";
      item.textContent = line;
      return item;
    }),
  );
}

function showFigures(s) {
  put("equity", w.euro(s.equity_eur));
  put("day_pnl", w.signedEuro(s.day_pnl_eur));
  put("net_pnl", w.signedEuro(s.net_pnl_eur));
  put("exposure", w.euro(s.exposure_eur));
  put("cap", w.euro(s.cap_eur));
  const used = w.perMille(s.exposure_eur, s.cap_eur);
  byId("cap-bar").value = used;
  byId("cap-bar").classList.toggle("high", used >= 800);
  put("cap_used", String(Math.floor(used / 10)));
  put("covered", s.coverage ? w.duration(s.coverage.covered_ms) : w.ABSENT);
  put("target", s.coverage ? w.duration(s.coverage.target_ms) : w.ABSENT);
  put("run_short", s.coverage ? s.coverage.short : "no run");
  put("paused", s.coverage?.paused_because ? ` · paused: ${s.coverage.paused_because}` : "");
  put("testnet", s.testnet ? `testnet ${s.testnet.line}` : "");
  byId("coverage-bar").max = s.coverage ? s.coverage.target_ms : 1;
  byId("coverage-bar").value = s.coverage ? s.coverage.covered_ms : 0;
  byId("guard-tile").dataset.broken = s.guard_level ? "yes" : "no";
  put("guard", s.guard_level ? `⚠ ${s.guard_level}` : "✔ quiet");
  put("guard_reason", s.guard_reason || "no rule is broken");
  put("quote_symbol", s.quote ? s.quote.symbol : s.symbols.join(", "));
  put("bid", s.quote ? w.amount(s.quote.bid) : w.ABSENT);
  put("ask", s.quote ? w.amount(s.quote.ask) : w.ABSENT);
  put("quote_age", s.quote ? w.age(s.quote.age_ms) : w.ABSENT);
  put("source", s.source ?? "no source");
}

function showCounts(s) {
  for (const name of ["working_orders", "unknown_orders", "step", "seq", "epoch"]) put(name, String(s[name]));
  for (const name of ["denied", "fills", "commands", "refusals", "breaches"]) put(name, String(s.counters[name]));
  put("head", w.shortDigest(s.head));
}

function showRun(s) {
  const streams = s.coverage ? s.coverage.streams : [];
  byId("streams-panel").hidden = !s.coverage;
  put("run_line", s.coverage ? s.coverage.line : "");
  byId("streams").replaceChildren(
    ...streams.map((stream) => {
      const item = document.createElement("li");
      item.className = stream.down_ms === null ? "" : "warn";
      item.textContent = stream.line;
      return item;
    }),
  );
  byId("hopeless").hidden = !s.coverage?.hopeless;
  put("hopeless", s.coverage?.hopeless ?? "");
  byId("lost-run").hidden = !s.coverage?.lost_run;
  put("lost_run", s.coverage?.lost_run ? s.coverage.lost_run.line : "");
}

export function showStatus(s) {
  const { dataset } = document.body;
  dataset.stage = s.stage;
  dataset.realMoney = isRealMoney(s) ? "yes" : "no";
  document.title = `${s.position} · ${s.controller_id} · gatehouse`;
  notice(s);
  put("position", s.position);
  put("venue", s.venue ?? "nowhere");
  put("release", `${s.release.name} ${s.release.version}`);
  put("stage_since", w.instant(s.stage_since_ms));
  put("since", w.duration(s.now_ms - s.stage_since_ms));
  put("now", w.clock(s.now_ms));
  put("next_action", nextAction(s));
  byId("ramp").hidden = s.stage !== "RAMPING";
  const word = s.stage === "HALTED" ? "reconciled" : "armed";
  byId("armed").textContent = s.reconciled ? `✔ ${word}` : `✖ not ${word}`;
  byId("armed").className = `pill ${s.reconciled ? "good" : "bad"}`;
  byId("why-not-armed").hidden = s.armed || s.stage === "HALTED";
  put("not_armed_because", s.not_armed_because);
  showLifecycle(s);
  showHalt(s);
  showWaysOut(s);
  showStanding(s);
  showFigures(s);
  showRun(s);
  showCounts(s);
  put("flatten", s.flatten ? s.flatten.line : "Nothing was flattened yet.");
  showAlerts(s.oversight, put);
  showConnections(s);
}
