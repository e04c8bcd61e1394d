"""``gatehouse flatten`` signs one command, follows it to its end, and says what is left."""

from __future__ import annotations

from types import MethodType

import pytest

from controller.authority.meaning import meaning
from controller.cli.sign import flatten
from controller.console.flatten import FlattenView, WayOutView
from controller.console.schema import ProposalView, ProposeRequest, ReceiptView
from controller.core import inputs as i
from exchange.errors import Unreachable
from exchange.ports import VenueName
from policies.authority import Verb
from policies.stage import Stage
from tests.support.cli_kit import Run, Served, printed, write_journal
from tests.support.desk import D, Desk
from tests.support.operator_port import DIGEST, NOW, a_status
from tests.unit.cli.sign.test_cli_bot_keys_alerts_drills import key_file
from tests.unit.cli.sign.test_cli_governance import payload_of

RUNNING = FlattenView(
    command_id="1" * 32,
    guard="",
    venue=VenueName.LIVE,
    symbols=("BTCUSDT",),
    reason="3 a.m.",
    since_ms=NOW,
    sold={"BTCUSDT": D("0.0001")},
    left={"BTCUSDT": D("0.00003")},
    waits="there is no quote for BTCUSDT",
    waits_since_ms=NOW + 1_000,
)
ENDED = RUNNING.model_copy(update={"ended_at_ms": NOW + 9_000, "complete": True, "why": "Everything was sold.", "waits": ""})


@pytest.fixture
def signed(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The subjects of what was proposed to a controller that applies whatever it is asked."""
    seen: list[str] = []

    async def propose(_: object, request: ProposeRequest, **__: object) -> ProposalView:
        assert request.verb is Verb.FLATTEN
        seen.append(request.subject or "")
        payload = payload_of(request.verb, request.subject or "").decode()
        return ProposalView(payload=payload, payload_digest=DIGEST, word_code="", summary="", gate=None, persons_needed=1)

    async def submit(_: object, __: str) -> ReceiptView:
        return ReceiptView(seq=1, hash=DIGEST, position="HALTED", gate=None)

    served.port.propose = MethodType(propose, served.port)  # type: ignore[method-assign]
    served.port.submit = MethodType(submit, served.port)  # type: ignore[method-assign]
    monkeypatch.setattr(flatten, "LOOK_EVERY_S", 0)
    return seen


def shows(served: Served, *views: FlattenView) -> None:
    """What the controller says about the flatten, one status after the other."""
    following = iter(views)

    async def status(_: object) -> object:
        return a_status(flatten=next(following))

    served.port.status = MethodType(status, served.port)  # type: ignore[method-assign]


@pytest.mark.parametrize(("arguments", "subject"), [((), "all"), (("BTCUSDT",), "BTCUSDT"), (("btcusdt",), "BTCUSDT")])
def test_it_signs_a_symbol_or_all(run: Run, served: Served, signed: list[str], arguments: tuple[str, ...], subject: str) -> None:
    shows(served, ENDED)
    result = run("flatten", *arguments, "--key", key_file(served), "--reason", "x", "--dir", served.directory)
    assert (result.exit_code, signed) == (0, [subject]), result.output


@pytest.mark.parametrize(("complete", "exit_code"), [(True, 0), (False, 1)])
def test_it_is_followed_to_its_end(run: Run, served: Served, signed: list[str], complete: bool, exit_code: int) -> None:
    shows(served, RUNNING, RUNNING, ENDED.model_copy(update={"complete": complete}))
    result = run("flatten", "--key", key_file(served), "--reason", "x", "--dir", served.directory, "-o", "json")
    assert result.exit_code == exit_code, result.output
    assert (printed(result)["why"], printed(result)["left"]) == ("Everything was sold.", {"BTCUSDT": "0.00003"})


def test_it_need_not_be_followed(run: Run, served: Served, signed: list[str]) -> None:
    shows(served)
    result = run("flatten", "--no-watch", "--key", key_file(served), "--reason", "x", "--dir", served.directory)
    assert (result.exit_code, signed) == (0, ["all"]), result.output


def test_a_reason_is_needed(run: Run, served: Served) -> None:
    assert run("flatten", "--key", key_file(served), "--dir", served.directory).exit_code == 2


@pytest.mark.parametrize(("subject", "what"), [("all", "everything that gatehouse bought"), ("BTCUSDT", "the BTCUSDT that")])
def test_a_signer_reads_what_it_does(subject: str, what: str) -> None:
    assert what in meaning(Verb.FLATTEN, subject)


def way(verb: Verb, *, refused: str = "", since: int | None = NOW, waits: str = "") -> WayOutView:
    return WayOutView(
        verb=verb,
        target="MOCK",
        persons_needed=1,
        cooling_off_ms=600_000 if verb is Verb.RESUME else 0,
        gate="",
        refused=refused,
        remedy="Wait." if refused else "",
        since_ms=since,
        waits=waits,
        command=f"gatehouse {verb}",
    )


def test_status_names_every_way_out_instead_of_the_next_step(run: Run, served: Served) -> None:
    served.port.view = a_status(
        stage=Stage.HALTED,
        position="HALTED",
        ways_out=(
            way(Verb.RESUME, refused="guard daily-loss stands", since=None),
            way(Verb.RESET),
            way(Verb.FLATTEN, waits="no quote"),
        ),
        flatten=RUNNING,
    )
    text = " ".join(run("status", "--dir", served.directory).stdout.split())
    for words in (
        "resume to MOCK (1 signature and 10 min of cooling off) is refused now: guard daily-loss stands. Wait.",
        "reset to MOCK (1 signature) is open since",
        "flatten (1 signature) is open since",
        "it would wait now: no quote: gatehouse flatten",
        "sold 0.0001 of BTCUSDT, left 0.00003 of BTCUSDT; it waits since",
    ):
        assert words in text.replace(" │ │ ", " "), words
    assert "next" not in text.split()


@pytest.fixture
def halted(served: Served) -> Served:
    """A journal with a halt, and a controller that lists the ways out of it."""
    desk = Desk().arm()
    desk.give(i.HaltAsked("test", "stop"))
    write_journal(desk, served.directory)
    served.port.view = a_status(stage=Stage.HALTED, position="HALTED", ways_out=(way(Verb.RESET),))
    return served


def test_explain_halt_names_the_ways_out_of_the_running_controller(run: Run, halted: Served) -> None:
    assert "reset to MOCK (1 signature) is open since" in run("explain", "halt", "--dir", halted.directory).stdout
    story = printed(run("explain", "halt", "--dir", halted.directory, "-o", "json"))
    assert [entry.get("kind") for entry in story[:-1]] == ["stage-changed"]
    assert [one["verb"] for one in story[-1]["ways_out"]] == ["reset"]


def test_explain_halt_without_a_controller_says_so(run: Run, halted: Served) -> None:
    halted.port.error = Unreachable("nobody answers", code="not-running", remedy="Start `gatehouse run`.")
    result = run("explain", "halt", "--dir", halted.directory)
    assert (result.exit_code, "The ways out are not known: nobody answers. Start `gatehouse run`." in result.stdout) == (0, True)


def test_explain_halt_after_the_halt_says_where_the_deployment_is(run: Run, halted: Served) -> None:
    halted.port.view = a_status()
    assert "The deployment is at TESTNET_VALIDATING now." in run("explain", "halt", "--dir", halted.directory).stdout
