"""Alerts that wait for a human: raised by what the journal holds or by what the shell noticed, gone when somebody signs for them.

To acknowledge an alert is to have seen it. It changes nothing else, and lifts no halt.
"""

from __future__ import annotations

from controller.authority.command import Command
from controller.core import events as e
from controller.core.decisions.draft import Draft
from controller.core.effects import AlertKind
from controller.core.inputs import Noticed
from controller.core.state import State
from exchange.errors import Refused


def noticed(draft: Draft, given: Noticed) -> None:
    """Remember what the shell saw, unless it is outstanding already."""
    raise_once(draft, given.kind, given.title, given.detail)


def raise_once(draft: Draft, kind: AlertKind, title: str, detail: str) -> None:
    """Journal an alert that no other entry says. One that is outstanding is not journalled again, however often it comes."""
    title = title[:200]
    if all((one.kind, one.title) != (kind, title) for one in draft.after.alerts):
        draft.emit(e.AlertRaised(about=kind.value, title=title, detail=detail[:500]))


def check_acknowledge(state: State, subject: str) -> None:
    """Whether the alert is outstanding. Raises ``Refused`` when not."""
    if any(one.id == subject for one in state.alerts):
        return
    seen = next((one for one in reversed(state.acknowledged) if one.id == subject), None)
    if seen is not None:
        raise Refused(
            f"{', '.join(seen.persons)} acknowledged {seen.id} already",
            code="already-acknowledged",
            remedy="Nothing is left to do.",
        )
    raise Refused(
        f"no alert {subject[:40]!r} is outstanding",
        code="no-such-alert",
        remedy="Give an id as `gatehouse status` lists it.",
    )


def acknowledge(draft: Draft, command: Command, persons: tuple[str, ...]) -> None:
    """Somebody has seen it and answers for it."""
    draft.emit(e.AlertAcknowledged(alert=command.subject, persons=persons, command_id=command.command_id))
