// Updates the page: one event stream, and the lists are read again when an event changes them.

import { addSample, addSeries, lastSample, startCharts } from "./charts.js";
import { connected, heard, read, showAge, silentMs } from "./fresh.js";
import { refreshFragments } from "./fragments.js";
import { showStatus } from "./status.js";
import { addEntry, showBalances, showEntries, showGates, showOrders } from "./tables.js";

const ROWS = 14;
const SILENCE_MS = 10_000;
const GATES_EVERY_MS = 5_000;
const FRAGMENTS_EVERY_MS = 3_000;
const SETTLE_MS = 400;

const rendered = { ...document.body.dataset };
let seq = 0;
let source = null;
let stage = "";

function onStatus(status) {
  heard();
  connected(true);
  showAge(status);
  // Another policy or version changes the page itself: reload it.
  if (String(status.ramp_steps) !== rendered.rampSteps || status.gatehouse_version !== rendered.version) window.location.reload();
  showStatus(status);
  if (stage && stage !== status.stage) lists.ask("gates");
  stage = status.stage;
}

// The latest entries of the stream: a journal read that was started before them does not contain them yet.
const streamed = [];

function onEntry(entry) {
  heard();
  if (entry.seq <= seq) return;
  seq = entry.seq;
  streamed.push(entry);
  if (streamed.length > ROWS) streamed.shift();
  addEntry(entry, ROWS);
  if (/^(order|fill|cancel|lookup)/.test(entry.kind)) lists.ask("orders", "balances");
  if (/^(command|stage|breach|guard)/.test(entry.kind)) lists.ask("gates");
}

const lists = {
  wanted: new Set(),
  timer: null,
  readers: {
    gates: async () => showGates(await read("/v1/gates")),
    orders: async () => showOrders(await read(`/v1/orders?limit=${ROWS}`)),
    balances: async () => showBalances(await read("/v1/balances")),
  },
  // A burst of events causes one read.
  ask(...names) {
    for (const name of names) this.wanted.add(name);
    this.timer ??= setTimeout(() => this.fetch(), SETTLE_MS);
  },
  async fetch() {
    this.timer = null;
    const names = [...this.wanted];
    this.wanted.clear();
    await Promise.allSettled(names.map((name) => this.readers[name]()));
  },
};

async function readAll() {
  const status = await read("/v1/status");
  onStatus(status);
  const [entries, series] = await Promise.all([
    read(`/v1/journal?after=${Math.max(0, status.seq - ROWS)}&limit=${ROWS}`),
    read(`/v1/series?after=${lastSample()}`),
  ]);
  const last = Math.max(0, ...entries.map((entry) => entry.seq));
  showEntries([...entries, ...streamed.filter((entry) => entry.seq > last)].slice(-ROWS));
  seq = Math.max(seq, last);
  addSeries(series);
  lists.ask("gates", "orders", "balances");
}

function connect() {
  source?.close();
  source = new EventSource("/v1/stream");
  source.addEventListener("open", () => readAll().catch(() => connected(false)));
  source.addEventListener("status", (event) => onStatus(JSON.parse(event.data)));
  source.addEventListener("entry", (event) => onEntry(JSON.parse(event.data)));
  source.addEventListener("sample", (event) => addSample(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    connected(false);
    // The browser reconnects a lost connection itself, but not a refused one.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  });
}

async function noticeSilence() {
  if (silentMs() < SILENCE_MS) return;
  try {
    onStatus(await read("/v1/status"));
  } catch {
    connected(false);
  }
}

startCharts();
connect();
setInterval(noticeSilence, SILENCE_MS / 2);
setInterval(() => { if (!document.hidden) lists.ask("gates"); }, GATES_EVERY_MS);
setInterval(() => { if (!document.hidden) refreshFragments().catch(() => connected(false)); }, FRAGMENTS_EVERY_MS);
