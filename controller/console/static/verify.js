// Computes the hashes of the journal again, a thousand entries at a time, and says how far it is. One answer goes on from the other.

import { read } from "./fresh.js";

const AT_ONCE = 1_000;
const button = document.getElementById("verify");
const line = document.getElementById("verify-line");
const bar = document.getElementById("verify-bar");

function say(text, className) {
  line.textContent = text;
  line.className = className;
}

async function verify() {
  const from = Number(button.dataset.from);
  const to = Number(button.dataset.to);
  let after = from;
  let before = null;
  button.disabled = true;
  bar.hidden = false;
  try {
    while (after < to) {
      const part = await read(`/v1/chain?after=${after}&limit=${Math.min(AT_ONCE, to - after)}`);
      if (part.problem) throw new Error(part.problem);
      if (before !== null && part.first_prev !== before) throw new Error(`entry ${part.first} does not follow entry ${after}`);
      if (part.last <= after) throw new Error(`entry ${after + 1} cannot be read`);
      after = part.last;
      before = part.last_hash;
      bar.value = (after - from) / (to - from);
      say(`${after - from} of ${to - from} entries verified`, "muted");
    }
    say(`✔ Entries ${from + 1} to ${to} follow each other, and each has the hash of its content. The last hash is ${before}.`, "strip ok");
  } catch (error) {
    say(`✖ Not verified: ${error.message}`, "strip bad");
  }
  button.disabled = false;
}

button.hidden = false;
button.addEventListener("click", verify);
