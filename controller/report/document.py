"""The report as one JSON document of strings, integers and lists: everything the page shows. ``cli.show.report`` calls it.

It is a pure function of the journal: anybody with an export computes the same document, and ``controller.report.sealed`` compares.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from controller.authority.envelope import parse_envelope
from controller.authority.verify import read_command
from controller.authority.wordcode import word_code
from controller.core.causes import RULES, HaltClass
from controller.core.decisions.evidence import gated_moves, judge
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.report import figures
from controller.report.collect import Collected, Signed
from controller.report.outlook import what_would_pass
from controller.report.run import Note, Run
from controller.report.statistics import statistics
from controller.report.verdict import verdict
from controller.version import VERSION
from exchange.errors import UsageError
from exchange.model import DataSource, Millis
from gates.engine import result_document
from policies import canonical
from policies.rules import METRICS, MetricName
from policies.stage import ON_THE_TESTNET, Environment, Stage

FORMAT = "gatehouse-report-v1"
MOST_SIGNED = 60
MOST_STAGES = 200


def document(found: Collected, command: Signed | None = None) -> dict[str, Any]:
    """The report of the present run, or of the run that ``command`` was judged by; then ``found`` ends with that command.

    Raises:
        UsageError: ``nothing-to-report``, before the deployment has a policy and a stage.
    """
    state, run = found.folded, found.subject
    if run is None or state.policy is None or found.head is None:
        raise UsageError(
            "the journal holds no run yet",
            code="nothing-to-report",
            remedy="Start the controller with `gatehouse run` and try again.",
        )
    gates = [_judged(run, command)] if command is not None else _open_gates(state, run)
    body: dict[str, Any] = {
        "about": _about(found, command),
        "gates": gates,
        "halt": _halt(found) if command is None else None,
        "run": _run(run),
        "performance": figures.performance(run),
        "statistics": statistics(run),
        "curves": {name: figures.curve_points(getattr(run, name)) for name in ("equity", "exposure", "drawdown", "mid")},
        "history": _history(found),
        "coverage": figures.coverage(run),
        "orders": figures.orders(run, len(state.open_on(run.venue)) if run.venue is not None else 0),
        "latency": figures.latency(run),
        "slippage": figures.slippage(run),
        "notes": _notes(found, run),
        "stages": [figures.stage_row(one) for one in found.runs[-MOST_STAGES:]],
        "sources": _sources(state, run),
        "signatures": [_signature(one) for one in found.signed[-MOST_SIGNED:]],
        "digests": _digests(found, command),
        "command": _command(found, command) if command is not None else None,
    }
    return {"format": FORMAT, "verdict": verdict(body), **body}


def _about(found: Collected, command: Signed | None) -> dict[str, Any]:
    state, head = found.folded, found.head
    assert head is not None
    return {
        "controller_id": state.controller_id,
        "environment": state.environment.value,
        "gatehouse_version": state.gatehouse_version,
        "reported_by": VERSION,
        "bot": f"{state.release.name} {state.release.version}" if state.release is not None else "",
        "position": str(state.position),
        "armed": state.may_send_orders,
        "not_armed_because": "" if state.armed else state.not_armed_because,
        "as_of": int(found.at),
        "entries": head.seq,
        "head": head.hash,
        "scope": "command" if command is not None else "present",
        "command_id": command.accepted.command_id if command is not None else "",
    }


# Gates


def _open_gates(state: State, run: Run) -> list[dict[str, Any]]:
    assert state.policy is not None
    judged = []
    for verb, target, gate in gated_moves(state):
        result = result_document(judge(state, state.policy, gate, state.at))
        judged.append(_gate(result, verb.value, str(state.position), str(target), run.since, state.at))
    return judged


def _judged(run: Run, command: Signed) -> dict[str, Any]:
    signed = read_command(parse_envelope(command.accepted.envelope).payload)
    here, there = Position(signed.expected_stage, signed.expected_step), Position(signed.target_stage, signed.target_step)
    result = json.loads(command.accepted.result)
    return _gate(result, signed.verb.value, str(here), str(there), run.since, Millis(result["as_of"]))


def _gate(result: Mapping[str, Any], verb: str, here: str, there: str, since: Millis, now: Millis) -> dict[str, Any]:
    return {
        "gate": result["gate"],
        "verdict": result["verdict"],
        "verb": verb,
        "from": here,
        "to": there,
        "as_of": result["as_of"],
        "evidence_digest": result["evidence_digest"],
        "policy_digest": result["policy_digest"],
        "attestation": result.get("attestation", ""),
        "rules": [
            {
                **rule,
                "meaning": METRICS[MetricName(rule["metric"])].meaning,
                "would_pass": what_would_pass(rule, since, now),
            }
            for rule in result["rules"]
        ],
    }


def _halt(found: Collected) -> dict[str, Any] | None:
    if found.halt is None:
        return None
    halt, measured = found.halt, found.folded.halt_figures
    kind = HaltClass.of(halt.cause)
    return {
        "since": int(found.halt_at),
        "seq": found.halt_seq,
        "from": str(Position(halt.from_stage, halt.from_step)),
        "cause": halt.cause.value,
        "reason": halt.reason,
        "kind": RULES[kind].meaning,
        "void": found.folded.validation_void,
        "resumes": [str(target) for _, target, _ in gated_moves(found.folded)],
        "breach_to_latch_us": measured.breach_to_latch_us if measured is not None else -1,
        "latch_to_cancelled_us": measured.latch_to_cancelled_us if measured is not None else -1,
        "cancelled": measured.cancelled if measured is not None else 0,
        "verified_empty": measured.verified_empty if measured is not None else False,
    }


# The run and what surrounds it


def _run(run: Run) -> dict[str, Any]:
    return {
        "stage": run.name,
        "venue": run.venue.value if run.venue is not None else "",
        "since": int(run.since),
        "seq": run.since_seq,
        "last_at": int(run.last_at),
        "ended": run.until is not None,
        "cap_eur": figures.figure(run.cap_eur),
        "samples": run.tally.samples if run.tally else 0,
        "restarts": run.restarts,
    }


def _history(found: Collected) -> list[dict[str, Any]]:
    """The equity of every run, so that a page can draw them one after another with a band for each stage."""
    runs = [run for run in found.runs if len(run.equity)][-24:]
    return [
        {
            "stage": run.name,
            "since": int(run.since),
            "until": int(run.last_at),
            "equity": _thinned(figures.curve_points(run.equity)),
        }
        for run in runs
    ]


def _thinned(points: list[list[object]]) -> list[list[object]]:
    step = max(1, len(points) // 60)
    return [[point[0], point[4]] for place, point in enumerate(points) if place % step == 0 or place == len(points) - 1]


def _notes(found: Collected, run: Run) -> dict[str, Any]:
    runs = found.runs[found.runs.index(run) :]
    notes = [note for one in runs for note in one.notes]
    return {
        "faults": _grouped([note for note in notes if note.group == "fault"]),
        "drills": _grouped([note for note in notes if note.group == "drill"]),
        "left_out": sum(one.notes_dropped for one in runs),
    }


def _grouped(notes: Sequence[Note]) -> list[dict[str, Any]]:
    """One line for all notes with the same title, as of the newest of them; in the order of the newest."""
    times = Counter(note.title for note in notes)
    newest = {note.title: note for note in notes}
    return [
        {"seq": one.seq, "at": int(one.at), "title": one.title, "detail": one.detail, "times": times[one.title]}
        for one in sorted(newest.values(), key=lambda note: note.seq)
    ]


def _sources(state: State, run: Run) -> dict[str, Any]:
    return {
        "market_data": sorted(source.value for source in run.sources),
        "accelerated": run.accelerated,
        "simulated": simulated(state, run),
        "attested_ms": run.tally.attested_ms if run.tally else 0,
        "testnet": run.position.stage in ON_THE_TESTNET,
    }


_NOT_LIVE = {
    DataSource.RECORDED_L2: "a recording",
    DataSource.RECONSTRUCTED_BARS: "reconstructed from bars",
    DataSource.SYNTHETIC: "invented by a generator",
}


def simulated(state: State, run: Run) -> list[str]:
    """Why the results of this run are simulated, in sentences; empty when real orders went to the real exchange."""
    why = []
    if run.position.stage is Stage.MOCK:
        why.append("Orders went to a mock executor inside gatehouse.")
    elif run.position.stage in ON_THE_TESTNET:
        why.append("Orders went to the testnet, which matches them by a model of the market. No real money moved.")
    elif state.environment is Environment.REHEARSAL:
        why.append("This is a rehearsal: the live venue is a simulated server. No real money moved.")
    invented = {
        "reconstructed-bars": "reconstructed from bars",
        "synthetic": "invented by a generator",
        "recorded-l2": "a recording",
    }
    why += [f"The market data is {invented[one.value]}." for one in sorted(run.sources) if one.value in invented]
    if run.accelerated:
        why.append("The clock of the run was faster than real time.")
    return why


# Signatures and digests


def _signature(one: Signed) -> dict[str, Any]:
    payload = parse_envelope(one.accepted.envelope).payload
    signed = read_command(payload)
    here, there = Position(signed.expected_stage, signed.expected_step), Position(signed.target_stage, signed.target_step)
    return {
        "seq": one.entry.seq,
        "at": int(one.entry.at),
        "command_id": one.accepted.command_id,
        "verb": one.accepted.verb.value,
        "from": str(here),
        "to": str(there),
        "persons": list(one.accepted.persons),
        "reason": signed.reason,
        "payload_digest": canonical.digest(payload),
        "words": word_code(canonical.digest(payload)),
        "evidence_digest": one.accepted.evidence_digest,
    }


def _digests(found: Collected, command: Signed | None) -> list[list[str]]:
    state, head = found.folded, found.head
    assert head is not None
    rows = [
        ["last journal entry", head.hash],
        ["policy", state.policy_digest],
        ["roster", state.roster_digest],
        ["release", state.release.digest if state.release is not None else ""],
        ["bot's program", state.release.artifact if state.release is not None else ""],
        *[[f"account on {venue.value}", fingerprint] for venue, fingerprint in sorted(state.accounts.items())],
    ]
    if command is not None:
        rows.append(["evidence of the command", command.accepted.evidence_digest])
        rows.append(["payload that was signed", command.accepted.payload_digest])
    return [row for row in rows if row[1]]


def _command(found: Collected, command: Signed) -> dict[str, Any]:
    entry = command.entry
    return {
        "entry": {
            "seq": entry.seq,
            "epoch": entry.epoch,
            "at": int(entry.at),
            "kind": entry.kind,
            "body": entry.body.decode(),
            "prev": entry.prev,
            "hash": entry.hash,
        },
        "policy": found.policy,
        "roster": found.roster,
    }
