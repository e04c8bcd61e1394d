"""The one sentence on top of a report. ``document`` calls it with everything else that the report says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.report.words import instant
from exchange.model import Millis

_WORDS = {
    "FAIL": "NO",
    "INVALID": "NO",
    "ERROR": "NO",
    "STALE": "NOT YET",
    "NO_DATA": "NOT YET",
    "INCONCLUSIVE": "NOT YET",
    "PASS": "READY",
}
_SAID = {"FAIL": "failed", "INCONCLUSIVE": "not decided yet", "NO_DATA": "not measured"}
_TONES = {"NO": "bad", "NOT YET": "wait", "READY": "good", "HALTED": "bad", "PASSED": "good", "RUNNING": "wait"}


def verdict(body: Mapping[str, Any]) -> dict[str, str]:
    """``word``, ``tone`` (``good``, ``wait`` or ``bad``) and ``sentence``."""
    word, sentence = _verdict(body)
    return {"word": word, "tone": _TONES[word], "sentence": sentence}


def _verdict(body: Mapping[str, Any]) -> tuple[str, str]:
    about, gates, halt = body["about"], body["gates"], body["halt"]
    if about["scope"] == "command":
        signed = next(one for one in body["signatures"] if one["command_id"] == about["command_id"])
        persons = " and ".join(signed["persons"]) or "no person"
        gate = gates[0]
        passed = f"All {len(gate['rules'])} rules of gate {gate['gate']} passed"
        move = f"{persons} signed the move from {signed['from']} to {signed['to']}, applied {instant(Millis(signed['at']))}."
        return "PASSED", f"{passed}, and {move}"
    if halt is not None:
        since = f"The deployment is HALTED since {instant(Millis(halt['since']))}, and no order is sent."
        return "HALTED", f"{since} What halted it at {halt['from']}: {halt['reason']}"
    if not gates:
        return "RUNNING", f"The deployment is at {about['position']}. No gate leads further up from here."
    gate = gates[0]
    return _WORDS[gate["verdict"]], _gate_sentence(about["position"], gate)


def _gate_sentence(position: str, gate: Mapping[str, Any]) -> str:
    rules = gate["rules"]
    missing = [rule for rule in rules if rule["verdict"] != "PASS"]
    passed = f"{len(rules) - len(missing)} of {len(rules)} rules of gate {gate['gate']} pass"
    if not missing:
        return f"All {len(rules)} rules of gate {gate['gate']} pass: a signed {gate['verb']} may move {position} to {gate['to']}."
    worst = [rule for rule in missing if rule["verdict"] == gate["verdict"]]
    names = ", ".join(str(rule["rule"]) for rule in worst[:4])
    more = f" and {len(worst) - 4} more" if len(worst) > 4 else ""
    said = {"FAIL": "failed", "INCONCLUSIVE": "not decided yet", "NO_DATA": "not measured"}.get(
        gate["verdict"], str(gate["verdict"]).lower()
    )
    return f"{passed}; {said}: {names}{more}. {position} stays where it is until all pass and the move to {gate['to']} is signed."
