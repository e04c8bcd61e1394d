"""The page that says what the testnet serves: every endpoint and channel of MEXC's API, and the cases that prove it.

Its sections are those of mexc-spot-v3.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from exchange.testnet.http.endpoints import ENDPOINTS
from exchange.wire.stream import Topic
from tests.conformance.cases import CASES, Case, Client
from tests.support.published import source_of

V3 = "/api/v3"

REFERENCE: tuple[tuple[str, str], ...] = tuple(
    (section, f"{method} {path if path.startswith('/') else f'{V3}/{path}'}")
    for section, method, paths in (
        ("§3", "GET", "ping time defaultSymbols exchangeInfo depth trades historicalTrades aggTrades klines avgPrice ticker/24hr"),
        ("§3", "GET", "ticker/price ticker/bookTicker symbol/offline announcements etf/info"),
        ("§4", "POST", "order order/test batchOrders"),
        ("§4", "DELETE", "order openOrders order/all"),
        ("§4", "GET", "order openOrders allOrders account myTrades tradeFee kyc/status uid selfSymbols apiKeyInfo"),
        ("§4", "POST", "apiKeyInfo"),
        ("§4", "GET", "mxDeduct/enable strategy/group strategy/group/uid"),
        ("§4", "POST", "mxDeduct/enable strategy/group strategy/group/uid"),
        ("§4", "DELETE", "strategy/group strategy/group/uid"),
        ("§5", "GET", "capital/config/getall capital/withdraw/history capital/deposit/hisrec capital/transfer"),
        ("§5", "POST", "capital/withdraw capital/transfer capital/withdraw/apply capital/transfer/internal"),
        ("§5", "DELETE", "capital/withdraw"),
        ("§7.7", "POST", "userDataStream"),
        ("§7.7", "GET", "userDataStream"),
        ("§7.7", "PUT", "userDataStream"),
        ("§7.7", "DELETE", "userDataStream"),
        ("§8.1", "GET", "/api/v1/contract/detail"),
    )
    for path in paths.split()
)
"""Every endpoint that ``mexc-spot-v3.md`` knows, with its section there."""

NOT_SERVED = {
    f"GET {V3}/apiKeyInfo": "its shape is not known",
    f"POST {V3}/apiKeyInfo": "its shape is not known",
    f"POST {V3}/capital/withdraw/apply": "deprecated by MEXC",
    f"POST {V3}/capital/transfer/internal": "moves money to other people",
}
"""Why not."""


def testnet() -> str:
    """The page."""
    served = {f"{one.method} {one.path}" for one in ENDPOINTS}
    lines = [
        "# The testnet: what it serves, and what proves it",
        "",
        "Generated from `exchange/testnet/http/endpoints.py`, `exchange/wire/stream.py` and `tests/conformance/cases.py` by",
        "`make docs`. Sections are those of [mexc-spot-v3.md](mexc-spot-v3.md). A case counts for an endpoint only if, while it",
        "ran, the endpoint was answered on the wire as expected, and for a channel only if something was pushed on it; the tests",
        "check that.",
        "*Our client* names the cases in which `exchange/mexc` itself used it. *Published* is the payload that the shape is",
        "checked against by `tests/unit/testnet/test_published_shapes.py`: publisher, page, date. `tests/support/published.py`",
        "holds the copies, and the reason for every field that differs.",
        "",
        "## Endpoints",
        "",
        "| § | endpoint | served | our client | cases | with | published |",
        "|---|---|---|---|---|---|---|",
    ]
    for section, endpoint in REFERENCE:
        if endpoint not in served:
            lines.append(f"| {section} | `{endpoint}` | no: {NOT_SERVED[endpoint]} | | | | |")
            continue
        proof = [*_touching(endpoint), *_touching(f"{endpoint} refused")]
        always = " (always refuses)" if not _touching(endpoint) else ""
        lines.append(f"| {section} | `{endpoint}` | yes{always} | {_proof(proof)} | {source_of(endpoint)} |")
    lines += ["", "## Channels", "", "| channel | served | our client | cases | with | published |", "|---|---|---|---|---|---|"]
    lines += [f"| `{topic}` | yes | {_proof(_touching(topic.value))} | {source_of(topic.value)} |" for topic in Topic]
    lines += ["", "## Cases", "", "| number | sentence | clients |", "|---|---|---|"]
    lines += [f"| {case.number:02d} | {case.sentence} | {', '.join(case.clients)} |" for case in CASES]
    return "\n".join(lines) + "\n"


def unproven() -> list[str]:
    """Endpoints and channels that are served without a case, and served endpoints that the reference does not know."""
    served = [f"{one.method} {one.path}" for one in ENDPOINTS]
    known = {endpoint for _, endpoint in REFERENCE}
    bare = [one for one in served if not _touching(one) and not _touching(f"{one} refused")]
    return [*bare, *(one for one in served if one not in known), *(topic for topic in Topic if not _touching(topic.value))]


def _touching(what: str) -> list[tuple[Case, Client]]:
    return [(case, client) for case in CASES for client in case.clients if what in case.touched(client)]


def _proof(pairs: Iterable[tuple[Case, Client]]) -> str:
    found = list(pairs)
    own = _numbers(case for case, client in found if client is Client.OWN)
    clients = [client.value for client in Client if any(one is client for _, one in found)]
    return f"{own or '-'} | {_numbers(case for case, _ in found)} | {', '.join(clients)}"


def _numbers(cases: Iterable[Case]) -> str:
    return " ".join(f"{number:02d}" for number in sorted({case.number for case in cases}))
