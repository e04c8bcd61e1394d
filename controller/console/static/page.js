// Keeps every page but the overview current: its head by the event stream, its live parts by asking the server for the page again.

import { asking, connected, heard, read, showAge, silentMs } from "./fresh.js";
import { refreshFragments } from "./fragments.js";
import { clock } from "./wording.js";

const SILENCE_MS = 10_000;
const SETTLE_MS = 400;
const REFRESH_EVERY_MS = Number(document.querySelector("[data-every]")?.dataset.every ?? 2_000);

const rendered = { ...document.body.dataset };
let source = null;
let timer = null;
let refreshedAt = 0;

function put(name, text) {
  for (const element of document.querySelectorAll(`[data-f="${name}"]`)) {
    if (element.textContent !== text) element.textContent = text;
  }
}

function onStatus(s) {
  heard();
  connected(true);
  if (s.gatehouse_version !== rendered.version) window.location.reload();
  showAge(s);
  put("position", s.position);
  put("now", clock(s.now_ms));
  document.body.dataset.stage = s.stage;
  document.title = [s.position, ...document.title.split(" · ").slice(1)].join(" · ");
  const word = s.stage === "HALTED" ? "reconciled" : "armed";
  const armed = document.getElementById("armed");
  armed.textContent = s.reconciled ? `✔ ${word}` : `✖ not ${word}`;
  armed.className = `pill ${s.reconciled ? "good" : "bad"}`;
}

// A burst of events causes one refresh, and a stream of them one every two seconds.
function changed() {
  heard();
  if (document.hidden || timer !== null) return;
  timer = setTimeout(async () => {
    timer = null;
    refreshedAt = Date.now();
    try {
      await refreshFragments();
    } catch {
      connected(false);
    }
  }, Math.max(SETTLE_MS, refreshedAt + REFRESH_EVERY_MS - Date.now()));
}

function connect() {
  source?.close();
  source = new EventSource("/v1/stream");
  source.addEventListener("open", changed);
  source.addEventListener("status", (event) => onStatus(JSON.parse(event.data)));
  source.addEventListener("entry", changed);
  source.addEventListener("sample", changed);
  source.addEventListener("error", () => {
    connected(false);
    // The browser reconnects a lost connection itself, but not a refused one.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  });
}

async function noticeSilence() {
  if (document.hidden || silentMs() < SILENCE_MS) return;
  try {
    onStatus(await read("/v1/status"));
    changed();
  } catch {
    connected(false);
  }
}

document.querySelector(".bar [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
connect();
setInterval(noticeSilence, SILENCE_MS / 2);
// A browser opens at most six connections to one address, so a page that nobody sees holds none.
document.addEventListener("visibilitychange", () => {
  asking();
  if (document.hidden) source?.close();
  else connect();
});
if (document.getElementById("verify")) import("./verify.js");
if (document.getElementById("envelope-file")) import("./envelope.js");
