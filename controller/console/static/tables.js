// Shows gates, orders and journal entries. Text is only ever set as text nodes, so that a bot's or venue's text is never markup.

import { amount, clock, mark, shortDigest, ABSENT } from "./wording.js";

function make(tag, { text, className, attributes } = {}, children = []) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const cell = (text, className) => make("td", { text, className });
const word = (value) => value.replace(/[^A-Za-z_]/g, "");
const verdict = (value) => make("span", { text: `${mark(value)} ${value}`, className: `verdict ${word(value)}` });

function gateCard(gate) {
  const head = ["verdict", "rule", "measured", "needed", "what is missing"].map((text, i) =>
    make("th", { text, className: i === 2 || i === 3 ? "num" : "", attributes: { scope: "col" } }));
  const rows = gate.rules.map((rule) => make("tr", {}, [
    make("td", {}, [verdict(rule.verdict)]),
    make("th", { text: rule.id, attributes: { scope: "row" } }),
    cell(rule.words[0] || ABSENT, "num"),
    cell(rule.words[1], "num"),
    make("td", { text: rule.words[2], className: rule.chance === "lost" ? "why lost" : "why", attributes: { title: rule.explanation } }),
  ]));
  const evidence = gate.attestation ? `, ${gate.attestation} evidence` : "";
  const move = `${gate.verb}: ${gate.from_position} → ${gate.to_position}${evidence}`;
  return make("article", { className: "gate-card" }, [
    make("h3", {}, [verdict(gate.verdict), document.createTextNode(` ${gate.gate} `), make("span", { text: move, className: "muted" })]),
    make("div", { className: "scroll", attributes: { tabindex: "0", role: "region", "aria-label": `Rules of ${gate.gate}` } }, [
      make("table", { className: "rules" }, [make("thead", {}, [make("tr", {}, head)]), make("tbody", {}, rows)]),
    ]),
  ]);
}

export function showGates(gates) {
  const cards = gates.map(gateCard);
  document.getElementById("gates").replaceChildren(
    ...(cards.length ? cards : [make("p", { text: "No gate leads up from here.", className: "muted" })]));
}

let shownBefore = null;

export function showOrders(orders) {
  const rows = orders.map((order) => {
    const key = `${order.client_id} ${order.status} ${order.executed}`;
    return make("tr", { className: shownBefore && !shownBefore.has(key) ? "fresh" : "" }, [
      cell(clock(order.at_ms)),
      make("th", { attributes: { scope: "row" } }, [
        make("span", { text: order.side, className: `side ${word(order.side)}` }), document.createTextNode(` ${order.symbol}`)]),
      cell(`${amount(order.executed)} / ${amount(order.quantity ?? order.quote_quantity)}`, "num"),
      cell(order.price === null ? order.type : amount(order.price), "num"),
      make("td", {}, [make("span", { text: order.status, className: `status ${word(order.status)}` })]),
      cell(order.venue, "venue"),
    ]);
  });
  shownBefore = new Set(orders.map((order) => `${order.client_id} ${order.status} ${order.executed}`));
  const none = make("tr", {}, [make("td", { text: "No order yet.", className: "muted", attributes: { colspan: "6" } })]);
  document.getElementById("orders").replaceChildren(...(rows.length ? rows : [none]));
}

function entryRow(entry, fresh) {
  return make("li", { className: fresh ? "fresh" : "" }, [
    make("span", { text: String(entry.seq), className: "seq" }),
    make("time", { text: clock(entry.at_ms) }),
    make("span", { className: "what" }, [make("b", { text: entry.kind }), document.createTextNode(` ${entry.summary}`)]),
    make("code", { text: shortDigest(entry.hash), attributes: { title: entry.hash } }),
  ]);
}

export function showEntries(entries) {
  document.getElementById("journal").replaceChildren(...[...entries].reverse().map((entry) => entryRow(entry, false)));
}

export function addEntry(entry, most) {
  const list = document.getElementById("journal");
  list.prepend(entryRow(entry, true));
  while (list.children.length > most) list.lastElementChild.remove();
}

export function showBalances(balances) {
  document.getElementById("balances").textContent =
    balances.map((balance) => `${balance.venue} ${amount(balance.total)} ${balance.asset}`).join(" · ") || ABSENT;
}
