// Amounts, times and durations as text; controller/console/wording.py writes the same texts on the server.

export const ABSENT = "—";

const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2, roundingMode: "halfEven" });

/** Intl gets decimal strings, so that no value is rounded to a double. */
export function euro(value) {
  if (value === null) return ABSENT;
  const text = cents.format(value).replace("-0.00", "0.00");
  return text.startsWith("-") ? `-€${text.slice(1)}` : `€${text}`;
}

export function signedEuro(value) {
  const text = euro(value);
  return value === null || text.startsWith("-") || text === "€0.00" ? text : `+${text}`;
}

export function amount(value) {
  if (value === null) return ABSENT;
  const [whole, fraction = ""] = value.split(".");
  const trimmed = fraction.replace(/0+$/, "");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return trimmed ? `${grouped}.${trimmed}` : grouped;
}

const two = (value) => String(value).padStart(2, "0");

export function duration(milliseconds) {
  const seconds = Math.floor(Math.max(0, milliseconds) / 1000);
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

export const clock = (at) => new Date(at).toISOString().slice(11, 19);
export const instant = (at) => new Date(at).toISOString().slice(0, 19).replace("T", " ");
export const age = (milliseconds) => `${(Math.max(0, milliseconds) / 1000).toFixed(1)} s`;
export const shortDigest = (value) => value.replace(/^sha256:/, "").slice(0, 12) || ABSENT;

export function microseconds(value) {
  if (value < 0) return ABSENT;
  return value < 1000 ? `${value} µs` : `${(value / 1000).toFixed(1)} ms`;
}

const MARKS = { PASS: "✔", FAIL: "✖", INCONCLUSIVE: "◐", NO_DATA: "∅", STALE: "◷", INVALID: "⚠", ERROR: "⚠" };
export const mark = (verdict) => MARKS[verdict] ?? "⚠";

/** How much of the whole is used, 0 to 1000; 1000 when it is not known. */
export function perMille(part, whole) {
  if (part === null) return 1000;
  const [p, w] = [Number(part), Number(whole)];
  if (w <= 0) return p <= 0 ? 0 : 1000;
  return Math.min(1000, Math.max(0, Math.floor((p * 1000) / w)));
}
