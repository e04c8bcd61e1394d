// Alerts, gateway keys and drills on the page; controller/console/lines.py writes the same lines on the server.

import * as w from "./wording.js";

function alertLine(alert) {
  const often = alert.times > 1 ? ` (${alert.times} times)` : "";
  return `${alert.title}${often}: ${alert.detail} · since ${w.instant(alert.at_ms)} UTC`;
}

function acknowledgedLine(alert) {
  if (!alert) return "No alert was acknowledged yet.";
  return `Last acknowledged: ${alert.id} ${alert.title}, by ${alert.persons.join(", ")} at ${w.instant(alert.at_ms)} UTC.`;
}

function drillLine(drill) {
  if (!drill) return "No drill was run yet.";
  const where = `${drill.venue} at ${drill.stage}`;
  if (drill.ended_at_ms === null) return `A ${drill.drill} drill runs on ${where}; ${drill.denied} orders denied so far.`;
  const when = `${w.instant(drill.ended_at_ms)} UTC on ${where}`;
  if (drill.ended_by) return `Last drill: ${when}, ${drill.drill}, not completed: ${drill.ended_by}.`;
  if (!drill.latched) {
    const figures = Object.entries(drill.measured).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`).join(", ");
    return `Last drill: ${when}, ${drill.drill}: ${figures}; ${drill.denied} denied.`;
  }
  const empty = drill.verified_empty ? "✔ verified empty" : "✖ not verified empty";
  return `Last drill: ${when}: request to latch ${w.microseconds(drill.breach_to_latch_us)}, latch to all orders cancelled `
    + `${w.microseconds(drill.latch_to_cancelled_us)}, ${drill.cancelled} cancelled, ${drill.denied} denied, ${empty}.`;
}

function row(name, text) {
  const item = document.createElement("li");
  const strong = document.createElement("strong");
  strong.textContent = name;
  item.append(strong, ` ${text}`);
  return item;
}

function nothing() {
  const item = document.createElement("li");
  item.className = "muted";
  item.textContent = "No alert is outstanding.";
  return item;
}

export function showAlerts(oversight, put) {
  const alerts = oversight.alerts.map((alert) => row(alert.id, alertLine(alert)));
  const keys = oversight.bot_keys
    .filter((key) => key.problem)
    .map((key) => row(key.key, `${key.bot}'s gateway key is not usable: ${key.problem}`));
  document.getElementById("alerts").replaceChildren(...(alerts.length ? alerts : [nothing()]), ...keys);
  put("acknowledged", acknowledgedLine(oversight.acknowledged));
  put("drill", drillLine(oversight.drill ?? oversight.last_drill));
}
