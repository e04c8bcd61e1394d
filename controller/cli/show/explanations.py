"""Finds what the journal says about one subject, as JSON values and as text. ``show.explain`` calls this."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from controller.cli.journal.files import opened, readable_after
from controller.cli.journal.view import entry_document, summary
from controller.cli.shared.client import OperatorClient
from controller.cli.shared.gates import gate_table, landing_lines, no_gate, result_table, rule_lines
from controller.cli.shared.output import clock, micros, table
from controller.cli.show.explanation import Explanation
from controller.cli.show.rule_explained import wanted_line
from controller.cli.show.ways_out_view import way_out_lines
from controller.console.schema import GateView
from controller.journal.chain import Entry
from exchange.errors import GatehouseError, UsageError
from gates.registry import GATES
from policies.rules import GateName

_COMMAND = re.compile(r"[0-9a-f]{32}")
_ENTRY = re.compile(r"(?:A-)?([0-9]{1,15})")
_PAYLOAD = re.compile(r'"payload"\s*:\s*"([A-Za-z0-9+/]*)')
_ORDER_FIELDS = ("client_id", "bot_client_id")


def explain_subject(directory: Path, subject: str) -> Explanation:
    """Explain ``subject``. Raises ``UsageError`` when the journal does not name it."""
    if _COMMAND.fullmatch(subject):
        return _command(directory, subject)
    if (number := _ENTRY.fullmatch(subject)) is not None:
        return _entry(directory, int(number[1]))
    if (story := _STORIES.get(subject)) is not None:
        return story(directory)
    if subject in {gate.value for gate in GateName}:
        return _gate(directory, subject)
    return _order(directory, subject)


def _entry(directory: Path, seq: int) -> Explanation:
    entries = _matching(directory, lambda entry, _: entry.seq == seq, after=seq - 1)
    if not entries:
        raise _unknown(str(seq), "entry")
    if entries[0].kind == "command-refused":
        return _command_history(entries)
    document = entry_document(entries[0])
    return Explanation(document, (Text(json.dumps(document, ensure_ascii=False, indent=2)),))


def _command(directory: Path, command_id: str) -> Explanation:
    entries = _matching(
        directory, lambda entry, body: body.get("command_id") == command_id or _is_said_to_be(entry, body, command_id)
    )
    if not entries:
        raise _unknown(command_id, "command")
    return _command_history(entries)


def _is_said_to_be(entry: Entry, body: Mapping[str, Any], command_id: str) -> bool:
    """Whether an envelope that did not verify names this command. It may be cut; the id is near the start of a payload."""
    if entry.kind != "command-refused" or body["command_id"]:
        return False
    found = _PAYLOAD.search(body["envelope"])
    text = found[1] if found is not None else ""
    return f'"command_id":"{command_id}"'.encode() in base64.b64decode(text[: len(text) // 4 * 4])


def _refusal(directory: Path) -> Explanation:
    """The last refusal. A command that did not parse has no id to ask for."""
    entries = _matching(directory, lambda entry, _: entry.kind == "command-refused")
    if not entries:
        raise UsageError("no command was refused in this journal", code="unknown-subject", remedy="Run `gatehouse status`.")
    return _command_history(entries[-1:])


def _command_history(entries: Iterable[Entry]) -> Explanation:
    """The entries of commands in order: waits, applied, refused, withdrawn."""
    parts: list[RenderableType] = []
    documents = []
    for entry in entries:
        body = json.loads(entry.body)
        result = json.loads(body["result"]) if body.get("result") else None
        documents.append({**entry_document(entry), "result": result})
        parts.append(_headline(entry))
        if entry.kind == "command-refused":
            parts += [Text(f"  refused [{body['code']}] {body['message']}", "red"), Text(f"  do {body['remedy']}")]
        if entry.kind == "command-pending":
            parts.append(Text(f"  waits until {clock(body['applies_at'])} UTC; any key can veto it until then", "yellow"))
        if entry.kind == "command-voided":
            parts.append(Text(f"  withdrawn by {body['cause']}: {body['reason']}", "red"))
        if entry.kind == "command-refused" and not body["command_id"]:
            parts.append(Text("  its envelope did not verify, so its sender is not known"))
        elif entry.kind in {"command-accepted", "command-refused", "command-pending"}:
            parts.append(Text(f"  signed by {', '.join(body['persons']) or 'no valid signer'}"))
        if result is not None:
            parts += _result_parts(result)
    return Explanation(documents, tuple(parts))


def _gate(directory: Path, gate: str) -> Explanation:
    entries = _matching(directory, lambda entry, body: entry.kind == "evidence-sealed" and body["gate"] == gate)
    decided = _matching(directory, lambda _, body: bool(body.get("result")) and json.loads(body["result"])["gate"] == gate)
    landing = _landing(directory, gate)
    if not decided and landing.document:
        return Explanation(landing.document, (Text(f"gate {gate} has not decided yet"), *landing.parts))
    if not decided:
        raise UsageError(
            f"gate {gate} has not decided yet ({len(entries)} proposals evaluated it), and it guards no step from where the "
            f"deployment is",
            code="not-decided",
            remedy=f"It guards {_edges(gate)}, and is judged there. `gatehouse policy show` lists its rules, `gatehouse "
            f"status` the next step.",
        )
    last = decided[-1]
    result = json.loads(json.loads(last.body)["result"])
    document = {**entry_document(last), "result": result, **landing.document}
    return Explanation(document, (_headline(last), *_result_parts(result), *landing.parts))


def _edges(gate: str) -> str:
    return " and ".join(f"{verb} from {stage}" for (verb, stage), guard in GATES.items() if guard == gate)


def _landing(directory: Path, gate: str) -> Explanation:
    """How the running controller judges the gate now, and what it sees of the venue behind it: the journal does not hold this."""
    try:
        with OperatorClient(directory) as client:
            found = [one for one in client.gates() if one.gate == gate]
    except GatehouseError as error:
        return Explanation({}, (Text(f"Where it leads is not seen: {error.message}. {error.remedy}", "yellow"),))
    return _judged_now(found)


def _judged_now(found: Sequence[GateView]) -> Explanation:
    if not found:
        return Explanation({}, ())
    parts: list[RenderableType] = []
    for gate in found:
        parts += [gate_table(gate), *rule_lines(gate)]
        if wanted := [wanted_line(rule) for rule in gate.rules if rule.verdict != "PASS"]:
            parts += [Text("What would make it pass:", "bold"), *wanted]
        if lines := landing_lines(gate):
            parts += [Text("Where it leads, as seen now:", "bold"), *lines]
    document = {
        "now": [gate.model_dump(mode="json") for gate in found],
        "landing": [fact.model_dump(mode="json") for gate in found for fact in gate.landing],
    }
    return Explanation(document, tuple(parts))


def _next_gate(directory: Path) -> Explanation:
    """The gates of the next steps up, judged now: what passes, what is missing, and where each leads."""
    with OperatorClient(directory) as client:
        found, position = client.gates(), client.status().position
    return _judged_now(found) if found else Explanation({"now": []}, (Text(no_gate(position)),))


def _halt(directory: Path) -> Explanation:
    kinds = {"breach-detected", "halt-measured", "flatten-started", "flatten-ended", "rebaselined"}
    entries = _matching(
        directory, lambda entry, body: entry.kind in kinds or (entry.kind == "stage-changed" and body["stage"] == "HALTED")
    )
    if not entries:
        raise UsageError("this journal has no halt", code="unknown-subject", remedy="Run `gatehouse status`.")
    parts: list[RenderableType] = []
    for entry in entries:
        body = json.loads(entry.body)
        parts.append(_headline(entry))
        if entry.kind == "breach-detected":
            parts.append(
                Text(f"  guard {body['guard']}: measured {body['measured']}, allowed {body['threshold']} → {body['level']}", "red")
            )
        if entry.kind == "halt-measured":
            latch, cancel = micros(body["breach_to_latch_us"]), micros(body["latch_to_cancelled_us"])
            parts.append(Text(f"  breach → latch {latch}, latch → last cancel {cancel}, {body['cancelled']} cancelled"))
    documents: list[Any] = [entry_document(entry) for entry in entries]
    ways = _ways_out(directory)
    parts += ways.parts
    return Explanation([*documents, *ways.document], tuple(parts))


def _ways_out(directory: Path) -> Explanation:
    """The ways out of the halt, as the running controller sees them now."""
    try:
        with OperatorClient(directory) as client:
            status = client.status()
    except GatehouseError as error:
        # Nothing leads out while no controller runs, so the journal alone cannot say what a command would be refused for.
        return Explanation([], (Text(f"The ways out are not known: {error.message}. {error.remedy}", "yellow"),))
    if not status.ways_out:
        return Explanation([], (Text(f"The deployment is at {status.position} now."),))
    lines = [Text.assemble("  ", line) for line in way_out_lines(status.ways_out, directory)]
    document = {"ways_out": [way.model_dump(mode="json") for way in status.ways_out], "now_ms": status.now_ms}
    return Explanation([document], (Text("Ways out:", "bold"), *lines))


def _drill(directory: Path) -> Explanation:
    """Every drill, and the halt that one became."""

    def wanted(entry: Entry, body: dict[str, Any]) -> bool:
        return entry.kind.startswith("drill-") or (entry.kind == "stage-changed" and body["cause"] == "drill")

    entries = _matching(directory, wanted)
    if not entries:
        raise UsageError(
            "this journal has no drill",
            code="unknown-subject",
            remedy="`gatehouse drill halt --key KEY` runs one; ops/docs/drills.md says where.",
        )
    return Explanation([entry_document(entry) for entry in entries], tuple(map(_headline, entries)))


def _testnet(directory: Path) -> Explanation:
    """Whether the testnet is attested now, under which key, and how often somebody else answered as the testnet."""
    entries = _matching(
        directory, lambda _, body: body.get("alert_kind") == "attestation" or body.get("guard") == "testnet-identity"
    )
    try:
        with OperatorClient(directory) as client:
            found = client.status().testnet
    except GatehouseError as error:
        now = Explanation({}, (Text(f"What it says now is not seen: {error.message}. {error.remedy}", "yellow"),))
    else:
        lines = [] if found is None else [Text(found.line, "" if found.attested else "bold yellow")]
        lines += [Text(f"the policy names {found.key}")] if found is not None and found.key else []
        lines += [Text(f"it calls itself {found.instance}, run {found.run}")] if found is not None and found.instance else []
        now = Explanation({} if found is None else {"testnet": found.model_dump(mode="json")}, tuple(lines))
    document = {"entries": [entry_document(entry) for entry in entries], **now.document}
    return Explanation(document, (*now.parts, *map(_headline, entries)))


def _proposal(directory: Path) -> Explanation:
    """Every policy or release file that was found changed, and what came into force."""
    kinds = {"document-proposed", "proposal-withdrawn", "policy-adopted", "policy-approved", "release-adopted"}
    entries = _matching(directory, lambda entry, _: entry.kind in kinds)
    parts: list[RenderableType] = []
    for entry in entries:
        parts.append(_headline(entry))
        parts += [Text(f"  {change}", "yellow") for change in json.loads(entry.body).get("changes", [])]
    return Explanation([entry_document(entry) for entry in entries], tuple(parts))


def _order(directory: Path, order_id: str) -> Explanation:
    named = _matching(directory, lambda _, body: order_id in (body.get(field) for field in _ORDER_FIELDS))
    if not named:
        raise _unknown(order_id, "order, command, gate or entry")
    ids = {json.loads(entry.body).get("client_id") for entry in named} - {None, ""}
    entries = _matching(directory, lambda entry, body: entry.seq in {one.seq for one in named} or body.get("client_id") in ids)
    rows = [(entry.seq, clock(entry.at), entry.kind, summary(entry)) for entry in entries]
    parts: list[RenderableType] = [table(("entry", "at (UTC)", "what", "says"), rows, right=("entry",))]
    for entry in entries:
        body = json.loads(entry.body)
        if entry.kind == "order-denied":
            parts.append(Text(f"rule {body['rule']}: measured {body['measured']}, allowed {body['threshold']}", "yellow"))
    return Explanation([entry_document(entry) for entry in entries], tuple(parts))


def _result_parts(result: dict[str, Any]) -> list[RenderableType]:
    failing = [Text(f"  {rule['rule']}: {rule['explanation']}") for rule in result["rules"] if rule["verdict"] != "PASS"]
    return [result_table(result), *failing]


def _headline(entry: Entry) -> Text:
    return Text.assemble((f"{entry.seq:>7} {clock(entry.at)} ", "dim"), (entry.kind, "bold"), "  ", summary(entry))


def _matching(directory: Path, wanted: Callable[[Entry, dict[str, Any]], bool], after: int = 0) -> list[Entry]:
    with opened(directory) as reader:
        entries: Iterable[Entry] = reader.read(after, 1) if after > 0 else reader.read(readable_after(reader))
        return [entry for entry in entries if wanted(entry, json.loads(entry.body))]


def _unknown(subject: str, what: str) -> UsageError:
    return UsageError(
        f"the journal has no {what} {subject}",
        code="unknown-subject",
        remedy="List ids with `gatehouse orders` or `gatehouse journal tail`.",
    )


_STORIES: Mapping[str, Callable[[Path], Explanation]] = MappingProxyType(
    {"gate": _next_gate, "halt": _halt, "drill": _drill, "refusal": _refusal, "proposal": _proposal, "testnet": _testnet}
)
