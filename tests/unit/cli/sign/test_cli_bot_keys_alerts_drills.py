"""Bot keys, alerts and drills on the command line."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from types import MethodType

import pytest

from controller.authority.envelope import parse_envelope
from controller.authority.meaning import meaning
from controller.authority.verify import read_command
from controller.cli.doctor.bot_keys import check_bot_keys
from controller.cli.sign import drills
from controller.console.alerts import AcknowledgedView, AlertView
from controller.console.bot_keys import BotKeyView
from controller.console.drills import DrillView
from controller.console.schema import OversightView, ProposalView, ProposeRequest, ReceiptView
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.bot_keys import secret_digest
from controller.core.decisions.drills import HALT_DRILL
from controller.settings.deployment import load_settings
from exchange.errors import ConfigError
from exchange.ports import VenueName
from policies.authority import WITH_SUBJECT, Verb
from policies.stage import Stage
from tests.support.cli_kit import Run, Served, printed, write_journal
from tests.support.desk import BOT_KEYS, Desk
from tests.support.operator_port import DIGEST, NOW, a_status
from tests.unit.cli.sign.test_cli_governance import payload_of

ALERT = AlertView(id="A-17", kind="halted", title="VALIDATED → HALTED", detail="stop", at_ms=NOW, times=1, last_at_ms=NOW)
DRILL = DrillView(
    command_id="1" * 32,
    venue=VenueName.TESTNET,
    stage=Stage.VALIDATED,
    since_ms=NOW,
    deadline_ms=NOW + 30_000,
    denied=2,
    ended_at_ms=NOW + 1500,
    breach_to_latch_us=184,
    latch_to_cancelled_us=12_400,
    cancelled=3,
    verified_empty=True,
)


@pytest.fixture
def signed(served: Served) -> list[tuple[Verb, str]]:
    """What was submitted to a controller that proposes whatever it is asked, and applies it."""
    seen: list[tuple[Verb, str]] = []

    async def propose(_: object, request: ProposeRequest, **__: object) -> ProposalView:
        payload = payload_of(request.verb, request.subject or "").decode()
        return ProposalView(payload=payload, payload_digest=DIGEST, word_code="", summary="", gate=None, persons_needed=1)

    async def submit(_: object, envelope: str) -> ReceiptView:
        command = read_command(parse_envelope(envelope).payload)
        seen.append((command.verb, command.subject))
        return ReceiptView(seq=2, hash=DIGEST, position="MOCK", gate=None)

    served.port.propose = MethodType(propose, served.port)  # type: ignore[method-assign]
    served.port.submit = MethodType(submit, served.port)  # type: ignore[method-assign]
    return seen


def key_file(served: Served) -> str:
    return str(next((served.directory / "keys").glob("*.key")))


def test_a_new_keys_secret_is_in_a_private_file_and_never_printed(run: Run, served: Served) -> None:
    result = run("keys", "bot", "second-bot", "--dir", served.directory, "-o", "json")
    made = printed(result)
    path = Path(made["secret_file"])
    secret = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (len(secret), secret in result.stdout) == (64, False)
    document = json.loads(Path(made["document"]).read_text())
    assert document == {"bot": "second-bot", "key": made["key"], "secret_digest": secret_digest(made["key"], secret)}


@pytest.mark.parametrize("name", ["", "Second", "../other", "a b", "x" * 33])
def test_an_invalid_bot_name_makes_no_key(run: Run, served: Served, name: str) -> None:
    assert run("keys", "bot", name, "--dir", served.directory).exit_code == 2
    assert not (served.directory / "bots").exists()


def test_the_only_unissued_key_is_proposed_signed_and_submitted(run: Run, served: Served, signed: list[tuple[Verb, str]]) -> None:
    made = printed(run("keys", "bot", "second-bot", "--dir", served.directory, "-o", "json"))
    arguments = ("issue-bot-key", "second-bot", "--key", key_file(served), "--reason", "two bots", "--dir", served.directory)
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert signed == [(Verb.ISSUE_BOT_KEY, Path(made["document"]).read_text())]
    assert "lets second-bot trade through the gateway with the key" in " ".join(result.stdout.split())


def test_with_two_unissued_keys_the_command_asks_which_one(run: Run, served: Served, signed: list[tuple[Verb, str]]) -> None:
    made = [printed(run("keys", "bot", "second-bot", "--dir", served.directory, "-o", "json")) for _ in range(2)]
    arguments = ("issue-bot-key", "second-bot", "--key", key_file(served), "--reason", "x", "--dir", served.directory)
    refused = run(*arguments)
    assert (refused.exit_code, made[0]["key"] in refused.stderr) == (2, True)
    assert run(*arguments, "--api-key", made[0]["key"]).exit_code == 0
    served.port.view = a_status(
        oversight=OversightView(
            bot_keys=(BotKeyView(bot="second-bot", key=made[0]["key"], since_ms=NOW, revoked=False, problem=""),)
        )
    )
    assert run(*arguments).exit_code == 0
    assert [made[1]["key"] in subject for _, subject in signed] == [False, True]


def test_issuing_without_a_key_says_how_to_make_one(run: Run, served: Served, signed: list[tuple[Verb, str]]) -> None:
    result = run("issue-bot-key", "nobody", "--key", key_file(served), "--reason", "x", "--dir", served.directory)
    assert (result.exit_code, "gatehouse keys bot nobody" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "verb", "subject"),
    [(("revoke-bot-key", "demobotkey"), Verb.REVOKE_BOT_KEY, "demobotkey"), (("ack-alert", "A-17"), Verb.ACK_ALERT, "A-17")],
)
def test_revoke_bot_key_and_ack_alert_sign_their_subject(
    run: Run, served: Served, signed: list[tuple[Verb, str]], arguments: tuple[str, ...], verb: Verb, subject: str
) -> None:
    assert run(*arguments, "--key", key_file(served), "--reason", "x", "--dir", served.directory).exit_code == 0
    assert signed == [(verb, subject)]


@pytest.mark.parametrize(("ended_by", "exit_code"), [("", 0), ("VALIDATED → HALTED: late", 5)])
def test_a_drill_is_followed_to_its_end_and_prints_what_was_measured(
    run: Run,
    served: Served,
    signed: list[tuple[Verb, str]],
    monkeypatch: pytest.MonkeyPatch,
    ended_by: str,
    exit_code: int,
) -> None:
    running = DRILL.model_copy(update={"ended_at_ms": None})
    ended = DRILL.model_copy(update={"ended_by": ended_by})
    views = iter([OversightView(), OversightView(drill=running), OversightView(drill=running), OversightView(last_drill=ended)])

    async def status(_: object) -> object:
        return a_status(oversight=next(views))

    served.port.status = MethodType(status, served.port)  # type: ignore[method-assign]
    monkeypatch.setattr(drills, "LOOK_EVERY_S", 0)
    result = run("drill", "halt", "--key", key_file(served), "--dir", served.directory)
    assert result.exit_code == exit_code, result.output
    assert signed == [(Verb.DRILL, '{"drill":"halt"}')]
    assert (ended_by or "asked → latch 184 µs, latch → last cancel 12.4 ms, 3 cancelled, 2 denied, verified empty") in result.stdout


def test_status_shows_alerts_bot_keys_and_the_last_drill(run: Run, served: Served) -> None:
    served.port.view = a_status(
        oversight=OversightView(
            alerts=(ALERT,),
            acknowledged=AcknowledgedView(id="A-9", title="locked out", persons=("anna",), at_ms=NOW),
            bot_keys=(
                BotKeyView(bot="one", key="onebotkey", since_ms=NOW, revoked=False, problem="the secret is missing"),
                BotKeyView(bot="two", key="twobotkey", since_ms=NOW, revoked=True, problem=""),
            ),
            last_drill=DRILL,
        )
    )
    shown = run("status", "--dir", served.directory).stdout
    for part in ("A-17", "ack-alert", "A-9 locked out, by anna", "the secret is missing", "revoked", "3 cancelled"):
        assert part in shown


@pytest.mark.parametrize("verb", sorted(WITH_SUBJECT))
def test_a_signer_reads_in_words_what_the_subject_means(verb: Verb) -> None:
    assert meaning(verb, "{}")
    assert meaning(verb, "no document at all")


def test_a_move_has_no_subject_to_explain() -> None:
    assert meaning(Verb.ADVANCE, "") == ""


def test_doctor_names_the_bot_key_whose_secret_is_missing(served: Served) -> None:
    settings = load_settings(served.directory)
    desk = Desk()
    desk.bots = ()
    desk.boot()
    desk.journal.append((e.BotKeyIssued(bot="lost", key="lostbotkey", secret_digest=DIGEST, command_id="0" * 32), desk.now))
    write_journal(desk, served.directory)
    with pytest.raises(ConfigError) as found:
        check_bot_keys(served.directory, settings)
    assert "lost's key lostbotkey" in found.value.message
    assert "added to the settings without a signature" in found.value.message


def test_drills_and_alerts_are_explained_from_the_journal(run: Run, served: Served) -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    assert desk.ask(Verb.DRILL, HALT_DRILL, "alice").code == ""
    assert desk.state.drill is not None
    desk.give(i.DrillMeasured(desk.state.drill.command_id, 12, 3456, 2, verified_empty=True))
    desk.give(i.HaltAsked("test", "stop"))
    write_journal(desk, served.directory)
    kinds = [entry["kind"] for entry in printed(run("explain", "drill", "--dir", served.directory, "-o", "json"))]
    assert kinds == ["drill-started", "drill-finished"]
    (alert,) = desk.state.alerts
    assert printed(run("explain", alert.id, "--dir", served.directory, "-o", "json"))["kind"] == "stage-changed"


def test_a_refusal_is_explained_with_its_remedy(run: Run, served: Served) -> None:
    desk = Desk().arm()
    command = desk.command(Verb.REVOKE_BOT_KEY, desk.state.position, subject=BOT_KEYS["demo-bot"])
    assert desk.submit(command, "carol").code == ""
    again = command.model_copy(update={"command_id": "f" * 32})
    assert desk.submit(again, "carol").code == "already-revoked"
    write_journal(desk, served.directory)
    shown = run("explain", "refusal", "f" * 32, "--dir", served.directory).stdout
    assert "[already-revoked]" in shown
    assert "Nothing is left to do" in shown
