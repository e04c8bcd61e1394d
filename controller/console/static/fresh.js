// How old the facts of a page are: the link to the controller, and the writer's last decision. Every page uses it.

import { clock } from "./wording.js";

const LATE_MS = 2_000;
const PATIENCE_MS = 4_000;
const link = document.getElementById("link");

let lastEventAt = Date.now();

export const silentMs = () => Date.now() - lastEventAt;

export async function read(path) {
  const response = await fetch(path, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

export function heard() {
  lastEventAt = Date.now();
}

export function connected(yes) {
  const was = document.body.classList.contains("stale");
  document.body.classList.toggle("stale", !yes);
  if (yes) {
    link.textContent = "● live";
    link.className = "pill good";
  } else if (!was) {
    link.textContent = `✖ disconnected since ${clock(lastEventAt)} UTC`;
    link.className = "pill bad";
  }
}

function oldFacts(s) {
  if (s.role === "standby") return s.standby?.problem ?? "";
  if (s.decided_ms_ago === null) return "The writer has decided nothing since this process started, so what this page shows may be old.";
  if (s.decided_ms_ago <= LATE_MS) return "";
  return `The writer has decided nothing for ${Math.floor(s.decided_ms_ago / 1000)} s, so what this page shows may be old.`;
}

export function showAge(s) {
  const why = oldFacts(s);
  const strip = document.getElementById("old-facts");
  document.body.dataset.facts = why ? "old" : "new";
  strip.hidden = !why;
  if (strip.lastElementChild.textContent !== why) strip.lastElementChild.textContent = why;
}
