// How old the facts of a page are: the link to the controller, and the writer's last decision. Every page uses it.

import { clock } from "./wording.js";

const LATE_MS = 2_000;
const PATIENCE_MS = 4_000;
const link = document.getElementById("link");

// Two clocks: a browser's wall clock may be corrected, and the other one stands still while the machine sleeps.
const clocks = () => ({ wall: Date.now(), steady: performance.now() });
const CUT = "✖ disconnected · ";
const ASKING = "… ";

let last = clocks();
let said = { at: null, steady: last.steady };

export const silentMs = () => Math.max(Date.now() - last.wall, performance.now() - last.steady);

// The controller's own time when something was heard last; the browser's clock may be wrong by hours.
const heardAt = () => (said.at === null ? null : said.at + Math.max(0, last.steady - said.steady));

export async function read(path) {
  const response = await fetch(path, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

export function heard() {
  last = clocks();
}

function bareTitle() {
  const mark = [CUT, ASKING].find((one) => document.title.startsWith(one)) ?? "";
  return document.title.slice(mark.length);
}

function unsure(mark, text) {
  document.body.classList.add("stale");
  link.textContent = text;
  link.className = "pill bad";
  document.title = mark + bareTitle();
  const armed = document.getElementById("armed");
  armed.textContent = armed.textContent.replace(/^[✔✖]/, "?");
  armed.className = "pill quiet";
}

export function connected(yes) {
  if (yes) {
    document.body.classList.remove("stale");
    link.textContent = "● live";
    link.className = "pill good";
    document.title = bareTitle();
  } else if (!link.textContent.startsWith("✖")) {
    const since = heardAt();
    unsure(CUT, since === null ? "✖ disconnected: nothing was heard yet" : `✖ disconnected since ${clock(since)} UTC`);
  }
}

// A page that nobody sees hears nothing, and is as old as that until the controller answers again.
export function asking() {
  unsure(ASKING, "… asking the controller");
}

function oldFacts(s) {
  if (s.role === "standby") return s.standby?.problem ?? "";
  if (s.decided_ms_ago === null) return "The writer has decided nothing since this process started, so what this page shows may be old.";
  if (s.decided_ms_ago <= LATE_MS) return "";
  return `The writer has decided nothing for ${Math.floor(s.decided_ms_ago / 1000)} s, so what this page shows may be old.`;
}

export function showAge(s) {
  said = { at: s.now_ms, steady: performance.now() };
  const why = oldFacts(s);
  const strip = document.getElementById("old-facts");
  document.body.dataset.facts = why ? "old" : "new";
  strip.hidden = !why;
  if (strip.lastElementChild.textContent !== why) strip.lastElementChild.textContent = why;
}
