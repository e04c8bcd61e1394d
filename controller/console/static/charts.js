// The charts: equity, and exposure with its cap, over time. Only here amounts become doubles, because they are only drawn.

/* global uPlot */

const MOST_POINTS = 6000;
const HEIGHT = 222;
const number = (value) => (value === null ? null : Number(value));
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const euros = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const rows = { at: [], equity: [], exposure: [], cap: [], covered: [], stage: [] };
let plots = [];

export const lastSample = () => (rows.at.length ? Math.round(rows.at[rows.at.length - 1] * 1000) : 0);

function push(at, equity, exposure, cap, covered, stage) {
  if (at <= lastSample()) return;
  rows.at.push(at / 1000);
  rows.equity.push(number(equity));
  rows.exposure.push(number(exposure));
  rows.cap.push(number(cap));
  rows.covered.push(covered);
  rows.stage.push(stage);
}

// Drop every second point of the older half, so that a long run stays visible in bounded memory.
function thin() {
  const half = Math.floor(rows.at.length / 2);
  for (const name of Object.keys(rows)) rows[name] = rows[name].filter((_, i) => i >= half || i % 2 === 0);
}

function shade(u) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.fillStyle = colour("--shade");
  for (let i = 1; i < rows.at.length; i += 1) {
    if (rows.covered[i]) continue;
    const from = Math.max(bbox.left, u.valToPos(rows.at[i - 1], "x", true));
    const to = Math.min(bbox.left + bbox.width, u.valToPos(rows.at[i], "x", true));
    if (to > from) ctx.fillRect(from, bbox.top, to - from, bbox.height);
  }
  ctx.restore();
}

function stages(u) {
  const { ctx, bbox } = u;
  const scale = window.devicePixelRatio || 1;
  ctx.save();
  ctx.strokeStyle = colour("--muted");
  ctx.fillStyle = colour("--muted");
  ctx.font = `${11 * scale}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.setLineDash([3 * scale, 4 * scale]);
  const ends = [];
  for (let i = 1; i < rows.at.length; i += 1) {
    if (rows.stage[i] === rows.stage[i - 1]) continue;
    const x = u.valToPos(rows.at[i], "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const width = ctx.measureText(rows.stage[i]).width;
    const left = x + width + 8 * scale > bbox.left + bbox.width ? x - width - 5 * scale : x + 5 * scale;
    // Put a label on the first row where it overlaps no other.
    let row = ends.findIndex((end) => end < left);
    if (row < 0) row = ends.length;
    ends[row] = left + width + 6 * scale;
    ctx.fillText(rows.stage[i], left, bbox.top + (12 + 14 * row) * scale);
  }
  ctx.restore();
}

function options(element, series, range) {
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--edge"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return {
    width: element.clientWidth,
    height: HEIGHT - 30,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    cursor: { sync: { key: "gatehouse" }, points: { size: 6 } },
    scales: { y: { range } },
    axes: [{ ...axis, values: times, space: 64 }, { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => euros.format(tick)) }],
    series: [{ label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" }, ...series],
    hooks: { drawClear: [shade], draw: [stages], setCursor: [(u) => { if (u.cursor.left < 0) showLatest(); }] },
    legend: { live: true },
  };
}

const two = (value) => String(value).padStart(2, "0");
const day = new Intl.DateTimeFormat("en", { timeZone: "UTC", day: "numeric", month: "short" });

// Times of day, and the date where a new day begins.
function times(_, ticks, __, ___, step) {
  let before = "";
  return ticks.map((tick) => {
    const at = new Date(tick * 1000);
    const today = day.format(at);
    const time = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}${step < 60 ? `:${two(at.getUTCSeconds())}` : ""}`;
    const text = today === before ? time : `${time}\n${today}`;
    before = today;
    return text;
  });
}

const show = (_, value) => (value === null || value === undefined ? "—" : `€${euros.format(value)}`);

function rangeWithMargin(_, low, high) {
  if (low === null) return [0, 1];
  const margin = Math.max((high - low) * 0.12, Math.abs(high) * 0.0005, 0.01);
  return [low - margin, high + margin];
}

const fromZero = (_, low, high) => [0, high === null || high <= 0 ? 1 : high * 1.15];

function build() {
  for (const plot of plots) plot.destroy();
  const line = { stroke: colour("--accent"), fill: colour("--fill"), width: 2, points: { show: false }, value: show };
  const cap = { stroke: colour("--warn"), width: 1.8, dash: [7, 5], points: { show: false }, value: show, paths: uPlot.paths.stepped({ align: 1 }) };
  const equity = document.getElementById("equity-chart");
  const exposure = document.getElementById("exposure-chart");
  equity.replaceChildren();
  exposure.replaceChildren();
  plots = [
    new uPlot(options(equity, [{ ...line, label: "equity" }], rangeWithMargin), [rows.at, rows.equity], equity),
    new uPlot(options(exposure, [{ ...line, label: "exposure" }, { ...cap, label: "cap" }], fromZero), [rows.at, rows.exposure, rows.cap], exposure),
  ];
  showLatest();
}

export function draw() {
  if (!plots.length) return;
  plots[0].setData([rows.at, rows.equity]);
  plots[1].setData([rows.at, rows.exposure, rows.cap]);
  showLatest();
}

// The legend shows the latest sample while the pointer is outside the chart.
function showLatest() {
  for (const plot of plots) {
    if (rows.at.length && (plot.cursor.left ?? -1) < 0) plot.setLegend({ idx: rows.at.length - 1 });
  }
}

export function addSeries(series) {
  series.at.forEach((at, i) => push(at, series.equity[i], series.exposure[i], series.cap[i], series.covered[i], series.stage[i]));
  while (rows.at.length > MOST_POINTS) thin();
  draw();
}

export function addSample(sample) {
  push(sample.at, sample.equity, sample.exposure, sample.cap, sample.covered, sample.stage);
  if (rows.at.length > MOST_POINTS) thin();
  draw();
}

export function startCharts() {
  build();
  window.matchMedia("(prefers-color-scheme: light)").addEventListener("change", build);
  const watcher = new ResizeObserver(() => {
    for (const plot of plots) plot.setSize({ width: plot.root.parentElement.clientWidth, height: HEIGHT - 30 });
  });
  watcher.observe(document.getElementById("equity-chart"));
}
