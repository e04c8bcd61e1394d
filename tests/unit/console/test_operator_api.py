from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from controller.console.app import ENVELOPE_LIMIT, MAX_ROWS, REQUEST_LIMIT, create_app
from controller.console.limits import ConsoleLimits
from controller.console.port import GateRefused
from controller.console.schema import (
    CheckpointView,
    EntryView,
    ErrorView,
    GateView,
    OrderView,
    ProposalView,
    ReceiptView,
    SeriesView,
    StatusView,
)
from controller.serving.throttle import Rate
from exchange.errors import (
    ConfigError,
    DeadlineExceeded,
    Halted,
    IntegrityError,
    Refused,
    Unauthorised,
    Unreachable,
    UsageError,
    VenueError,
)
from policies.authority import Verb
from policies.stage import Stage
from tests.support.operator_port import CanaryError, FakePort, a_gate, a_sample

JSON = {"content-type": "application/json"}


@asynccontextmanager
async def client(port: FakePort, *, local: bool = False, host: str = "127.0.0.1:8701") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(port, local=local, hosts=("console.example",)), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as session:
        yield session


async def ask(port: FakePort, path: str, **more: Any) -> httpx.Response:
    async with client(port) as session:
        return await session.get(path, **more)


async def test_the_status_is_complete_and_amounts_are_plain_decimal_strings() -> None:
    port = FakePort()
    port.view = port.view.model_copy(update={"cap_eur": Decimal("1E+2")})
    response = await ask(port, "/v1/status")
    assert StatusView.model_validate_json(response.content) == port.view
    assert response.json()["cap_eur"] == "100"
    assert response.json()["stage"] == "TESTNET_VALIDATING"


async def test_lists_are_sent_as_lists_of_their_views() -> None:
    port = FakePort()
    orders = await ask(port, "/v1/orders?limit=3")
    gates = await ask(port, "/v1/gates")
    assert [OrderView.model_validate(row) for row in orders.json()] == port.order_views[:3]
    assert [GateView.model_validate(row) for row in gates.json()] == port.gate_views
    assert (await ask(port, "/v1/balances")).json()[0] == {"venue": "testnet", "asset": "EUR", "total": "996.12"}
    assert (await ask(port, "/v1/fills")).json() == []


async def test_the_journal_is_read_from_a_sequence_number_on() -> None:
    port = FakePort()
    rows = (await ask(port, "/v1/journal?after=1838&limit=5")).json()
    assert [EntryView.model_validate(row).seq for row in rows] == [1839, 1840]


async def test_the_series_has_columns_and_null_for_unknown_values() -> None:
    port = FakePort(samples=[a_sample(1), a_sample(2, None, covered=False)])
    series = SeriesView.model_validate_json((await ask(port, "/v1/series?after=1")).content)
    assert (series.at, series.equity, series.covered) == ((2,), (None,), (False,))


@pytest.mark.parametrize(
    "query", ["limit=0", f"limit={MAX_ROWS + 1}", "limit=-1", "limit=1e3", "limit=%D9%A3", "limit=", "limit=" + "9" * 5000]
)
async def test_a_limit_out_of_range_is_a_usage_error(query: str) -> None:
    response = await ask(FakePort(), f"/v1/orders?{query}")
    assert response.status_code == 400
    assert ErrorView.model_validate_json(response.content).error.code == "bad-query"


async def test_a_proposal_accepts_the_stage_as_a_person_types_it() -> None:
    port = FakePort()
    async with client(port) as session:
        response = await session.post("/v1/propose", json={"verb": "advance", "target": "LIVE_EUR10", "reason": "72 h done"})
    assert ProposalView.model_validate_json(response.content).word_code == "amber-bell"
    assert (port.proposed[0].verb, port.proposed[0].target) == (Verb.ADVANCE, Stage.LIVE_EUR10)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"verb": "sell", "reason": "x"}',
        b'{"verb": "advance"}',
        b'{"verb": "advance", "reason": "x", "force": true}',
        b'{"verb": "ramp", "reason": "x", "step": 0}',
        b"\xff",
    ],
)
async def test_a_malformed_proposal_is_a_usage_error_and_goes_no_further(body: bytes) -> None:
    port = FakePort()
    async with client(port) as session:
        response = await session.post("/v1/propose", content=body, headers=JSON)
    assert response.status_code == 400
    assert port.proposed == []


async def test_an_envelope_reaches_the_controller_byte_for_byte() -> None:
    port = FakePort()
    envelope = '{"payload": "aGk=",  "signatures": []}\n'
    async with client(port) as session:
        response = await session.post("/v1/commands", content=envelope, headers=JSON)
    assert ReceiptView.model_validate_json(response.content).position == "VALIDATED"
    assert port.submitted == [envelope]


ERRORS: list[tuple[Callable[..., Exception], int, int]] = [
    (UsageError, 400, 2),
    (ConfigError, 400, 2),
    (Unauthorised, 403, 4),
    (Refused, 409, 3),
    (Halted, 503, 5),
    (Unreachable, 503, 6),
    (VenueError, 503, 6),
    (DeadlineExceeded, 504, 7),
    (IntegrityError, 500, 1),
    (CanaryError, 500, 1),
]


@pytest.mark.parametrize(("kind", "status", "exit_code"), ERRORS)
async def test_a_typed_error_becomes_a_json_body_with_its_remedy(
    kind: Callable[..., Exception], status: int, exit_code: int
) -> None:
    response = await ask(FakePort(error=kind("it is so", code="so-it-is", remedy="Do that.")), "/v1/status")
    assert response.status_code == status
    assert response.json() == {
        "error": {"code": "so-it-is", "message": "it is so", "remedy": "Do that.", "exit_code": exit_code},
        "gate": None,
    }


async def test_a_refusal_by_a_gate_contains_the_gate() -> None:
    port = FakePort(error=GateRefused("validation is INCONCLUSIVE", code="gate-not-passed", remedy="Wait.", gate=a_gate()))
    async with client(port) as session:
        response = await session.post("/v1/commands", content="{}", headers=JSON)
    assert response.status_code == 409
    assert ErrorView.model_validate_json(response.content).gate == a_gate()


async def test_an_unexpected_error_shows_no_details() -> None:
    response = await ask(FakePort(error=RuntimeError("canary-secret")), "/v1/status")
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal"
    assert "canary" not in response.text


async def test_only_the_local_socket_can_halt_without_a_signature() -> None:
    port = FakePort()
    async with client(port) as remote:
        assert (await remote.post("/v1/halt", json={"reason": "stop"})).status_code == 404
    assert port.halted == []
    async with client(port, local=True, host="gatehouse") as socket:
        assert (await socket.post("/v1/halt", json={"reason": "stop"})).json()["position"] == "HALTED"
    assert port.halted == ["stop"]


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/status/", "/static/../app.py", "/static/nothing.js", "/docs"])
async def test_an_unknown_path_is_a_json_404(path: str) -> None:
    response = await ask(FakePort(), path)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not-found"


@pytest.mark.parametrize(("local", "sealed"), [(True, 1), (False, 0)])
async def test_only_a_proposal_over_the_local_socket_asks_to_seal_the_evidence(*, local: bool, sealed: int) -> None:
    port = FakePort()
    async with client(port, local=local) as session:
        assert (await session.post("/v1/propose", json={"verb": "advance", "reason": "test"})).status_code == 200
    assert port.sealed == sealed


async def test_too_many_proposals_over_tcp_are_refused_with_a_time_to_wait() -> None:
    port, now = FakePort(), [0]
    limits = ConsoleLimits(proposals=Rate(1, 2, seconds=10))
    app = create_app(port, local=False, limits=limits, monotonic_ns=lambda: now[0])
    body = {"verb": "advance", "reason": "test"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as session:
        answers = [await session.post("/v1/propose", json=body) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        error = ErrorView.model_validate_json(answers[-1].content).error
        assert (error.code, error.exit_code, answers[-1].headers["retry-after"]) == ("too-many-proposals", 3, "10")
        now[0] = 10_000_000_000
        assert (await session.post("/v1/propose", json=body)).status_code == 200
    assert len(port.proposed) == 3


@pytest.mark.parametrize(("path", "limit"), [("/v1/propose", REQUEST_LIMIT), ("/v1/commands", ENVELOPE_LIMIT)])
async def test_a_body_over_the_limit_is_refused_in_every_encoding(path: str, limit: int) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(limit // 1024 + 1):
            yield b" " * 1024

    port = FakePort()
    async with client(port) as session:
        for body in (b" " * (limit + 1), trickle()):
            response = await session.post(path, content=body, headers=JSON)
            assert response.json()["error"]["code"] == "too-long"
    assert port.submitted == []


async def test_a_target_without_checkpoints_is_named_but_does_not_end_readiness() -> None:
    port = FakePort()
    away = CheckpointView(target="witness near", size=3, at_ms=None, problem="no route")
    port.view = port.view.model_copy(update={"checkpoints": (away,)})
    response = await ask(port, "/readyz")
    assert (response.status_code, response.text) == (200, "ok, but no checkpoint reaches witness near")


async def test_the_controller_is_ready_only_when_it_is_armed() -> None:
    port = FakePort()
    assert (await ask(port, "/readyz")).status_code == 200
    port.view = port.view.model_copy(update={"armed": False, "not_armed_because": "reconciling"})
    response = await ask(port, "/readyz")
    assert (response.status_code, response.text) == (503, "reconciling")
    assert (await ask(port, "/livez")).status_code == 200
