// Bots and venues on the page; controller/console/lines.py writes the same lines on the server.

function noBotsLine(standby) {
  if (standby) return "A standby hears no bot.";
  return "No bot has a gateway key, so no time is covered. `gatehouse keys bot` makes one.";
}

function noSilenceLine(standby) {
  return standby ? "A standby asks no venue." : "No venue failed to answer when it was last asked.";
}

function botClass(bot) {
  if (bot.live) return "good";
  return bot.counts ? "bad" : "muted";
}

function span(text, className) {
  const element = document.createElement("span");
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

function row(className, mark, line, remedy) {
  const item = document.createElement("li");
  item.className = className;
  item.append(span(mark, "mark"), " ", span(line));
  if (remedy) item.append(" ", span(`→ ${remedy}`, "remedy"));
  return item;
}

function nothing(className, text) {
  const item = document.createElement("li");
  item.className = className;
  item.textContent = text;
  return item;
}

// A list that says the same is left alone: a screen reader reads what is put in again.
function put(id, rows) {
  const list = document.getElementById(id);
  const same = rows.length === list.children.length
    && rows.every((one, i) => one.className === list.children[i].className && one.textContent === list.children[i].textContent);
  if (!same) list.replaceChildren(...rows);
}

export function showConnections(s) {
  const bots = s.bots.map((bot) => row(botClass(bot), bot.live ? "✔ connected" : "✖ not connected", bot.line, bot.remedy));
  const venues = s.unreached.map((venue) => row(venue.orders_wait ? "bad" : "warn", "✖ no answer", venue.line, venue.remedy));
  put("bots", bots.length ? bots : [nothing(s.standby ? "muted" : "warn", noBotsLine(s.standby))]);
  put("unreached", venues.length ? venues : [nothing("muted", noSilenceLine(s.standby))]);
}
