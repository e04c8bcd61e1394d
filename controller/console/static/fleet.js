// Keeps the fleet page current: the server writes it anew every two seconds. When the server is silent, everything here is old.

import { refreshFragments } from "./fragments.js";

const EVERY_MS = 2_000;
const OLD_AFTER_MS = 6_000;
const link = document.getElementById("link");

// Two clocks: a wall clock may be corrected, and the other one stands still while the machine sleeps.
const clocks = () => ({ wall: Date.now(), steady: performance.now() });
let last = clocks();

function show() {
  const silentMs = Math.max(Date.now() - last.wall, performance.now() - last.steady);
  const old = silentMs > OLD_AFTER_MS;
  document.body.classList.toggle("stale", old);
  const text = old ? `✖ this page was not renewed for ${Math.floor(silentMs / 1000)} s` : "● live";
  if (link.textContent !== text) link.textContent = text;
  link.className = old ? "pill bad" : "pill good";
  const title = document.getElementById("fleet").dataset.title;
  document.title = old ? `✖ old · ${title}` : title;
}

async function renew() {
  try {
    await refreshFragments();
    last = clocks();
  } catch {
    // Its age says it.
  }
  show();
  setTimeout(renew, EVERY_MS);
}

renew();
setInterval(show, 1_000);
