// Replaces the parts of a page that are marked data-live with what the server writes now. The server escapes everything; the
// document that the browser makes of the answer runs no script, and only its nodes are taken over.

const PATIENCE_MS = 5_000;

function fetchPage(address) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.timeout = PATIENCE_MS;
    request.onload = () => (request.status === 200 && request.response ? resolve(request.response) : reject(new Error(`${address} answered ${request.status}`)));
    request.onerror = () => reject(new Error(`${address} did not answer`));
    request.ontimeout = request.onerror;
    request.send();
  });
}

// What a person is typing into, has opened or has selected stays.
function isUsed(element) {
  const selection = document.getSelection();
  return (element.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, button"))
    || element.querySelector("details[open]") !== null
    || (selection !== null && !selection.isCollapsed && selection.containsNode(element, true));
}

function keepFocus(old, fresh) {
  const focused = document.activeElement;
  if (!old.contains(focused)) return () => {};
  const same = focused.getAttribute("href");
  const at = [...old.querySelectorAll("a, [tabindex]")].indexOf(focused);
  return () => {
    const places = [...fresh.querySelectorAll("a, [tabindex]")];
    (places.find((one) => same !== null && one.getAttribute("href") === same) ?? places[at])?.focus({ preventScroll: true });
  };
}

export async function refreshFragments() {
  const live = [...document.querySelectorAll("[data-live]")].filter((element) => element.id);
  if (!live.length) return;
  // The answer to a form has no address that can be read again; the frame names the page that has the same parts.
  const page = await fetchPage(document.body.dataset.again || window.location.href);
  for (const element of live) {
    const fresh = page.getElementById(element.id);
    if (!fresh || isUsed(element) || fresh.isEqualNode(element)) continue;
    const taken = document.importNode(fresh, true);
    const focus = keepFocus(element, taken);
    element.replaceWith(taken);
    focus();
  }
}
