"""The catalogue of alerts: for each kind how severe it is, what it means, what to do, what proves its end, and the page to read.

Decisions, the fold, telemetry, the channels, the command line and the generated page ``ops/docs/alerts.md`` read this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from controller.core.effects import AlertKind


class Severity(StrEnum):
    """How much an alert hurries. Only INFO is held back in quiet hours, and only INFO needs no acknowledgement."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


SEVERITY_ORDER = tuple(Severity)
"""From the least to the most severe."""

ESCALATE_AFTER_MS = (900_000, 1_800_000, 3_600_000)
"""A critical alert that nobody acknowledged is escalated after so long: 15, 30 and 60 minutes from when it was raised."""

ACKNOWLEDGE_WITHIN_MS = ESCALATE_AFTER_MS[0]
"""The deadline of a critical alert. Past it, no move to real money is possible until a person acknowledges it."""


@dataclass(frozen=True, slots=True)
class AlertSpec:
    """One kind of alert. ``ends``: what proves that the condition is over; empty for a happening, which has no end.

    ``page``: the page below ``ops/docs`` that says what to do.
    """

    severity: Severity
    meaning: str
    action: str
    page: str
    ends: str = ""


_HALTED, _HUNG = "runbooks/halted-at-3-am.md", "runbooks/controller-hung.md"
_BALANCES, _VENUE = "runbooks/other-balances.md", "runbooks/venue-down.md"
_POSITION, _LEAK = "runbooks/position-to-leave.md", "runbooks/key-leaked.md"
_PAGE = "alerts.md"

ALERTS: Mapping[AlertKind, AlertSpec] = MappingProxyType(
    {
        AlertKind.HALTED: AlertSpec(
            Severity.CRITICAL,
            "The deployment is HALTED: no order is placed, and open orders are cancelled.",
            "Read the reason, look at the account, then resume or reset with a signed command.",
            _HALTED,
            ends="the deployment leaves HALTED",
        ),
        AlertKind.BREACH: AlertSpec(
            Severity.WARNING,
            "A guard measured more than its limit allows. If it halts, the alert halted follows.",
            "Read which guard it was and what it measured; find the cause in the bot, the market or the venue.",
            _HALTED,
            ends="the guards find nothing any more",
        ),
        AlertKind.STEP_DOWN: AlertSpec(
            Severity.WARNING,
            "A guard moved the deployment one step down by itself.",
            "Find out why before the next step up: a second step down within 7 days ends the ramp.",
            "lifecycle.md",
        ),
        AlertKind.NOT_EMPTY: AlertSpec(
            Severity.CRITICAL,
            "Orders are being cancelled, and the venue has not shown yet that none is open.",
            "Look at the open orders on the venue's own page, and cancel there what is left.",
            _POSITION,
        ),
        AlertKind.RECONCILIATION: AlertSpec(
            Severity.CRITICAL,
            "The account at the venue is not what the journal says.",
            "Compare `gatehouse balances` with the venue's own page.",
            _BALANCES,
            ends="a reconciliation of that venue finds no difference",
        ),
        AlertKind.CAPITAL: AlertSpec(
            Severity.WARNING,
            "Money came to or left the account, or the account has a new baseline.",
            "See that you know of it.",
            _BALANCES,
        ),
        AlertKind.UNKNOWN_ORDER: AlertSpec(
            Severity.INFO,
            "An order got no clear answer. It keeps its exposure reserved and is looked up until the venue proves its outcome.",
            "Nothing, unless the alert unknown-overdue follows.",
            _VENUE,
        ),
        AlertKind.UNKNOWN_OVERDUE: AlertSpec(
            Severity.CRITICAL,
            "The outcome of an order is not known, and half of the time in which the guard halts has passed.",
            "Find the order on the venue's own page by its client id.",
            _VENUE,
            ends="the venue proves the order's outcome",
        ),
        AlertKind.VENUE_LOCKOUT: AlertSpec(
            Severity.CRITICAL,
            "The venue locked this address out: it answers nothing from here until the time that it named.",
            "Stop whatever else sends to the venue from this address.",
            _VENUE,
        ),
        AlertKind.CLOCK: AlertSpec(
            Severity.WARNING,
            "This host's clock and the venue's differ by more than the guard allows.",
            "Look at the host's time service: `timedatectl` or `chronyc tracking`.",
            _VENUE,
            ends="the guard clock-offset finds nothing any more",
        ),
        AlertKind.STREAMS: AlertSpec(
            Severity.WARNING,
            "A stream of the venue has been of no use for more than a minute.",
            "Look at the network and at the venue's announcements; the controller reconnects by itself.",
            _VENUE,
            ends="the stream is of use again",
        ),
        AlertKind.COVERAGE: AlertSpec(
            Severity.WARNING,
            "For more than five minutes the time of the run has not counted as covered.",
            "Read the reason in `gatehouse status`: the bot is away, the market is not seen, or the account does not agree.",
            "metrics.md",
            ends="a covered second ends the gap",
        ),
        AlertKind.VALIDATION: AlertSpec(
            Severity.WARNING,
            "A validation was revoked, or a run with covered time began anew: what was measured until then does not count.",
            "Read why in `gatehouse status`, and decide whether the bot is to be validated again.",
            "lifecycle.md",
            ends="the next step up",
        ),
        AlertKind.DRILL: AlertSpec(Severity.INFO, "A drill began or finished.", "Nothing: a person asked for it.", "drills.md"),
        AlertKind.DRILL_FAILED: AlertSpec(
            Severity.WARNING,
            "A drill could not be run, so it proves nothing.",
            "Read the reason, and start the drill again.",
            "drills.md",
            ends="a drill of that kind passes",
        ),
        AlertKind.WATCHDOG: AlertSpec(
            Severity.CRITICAL,
            "The dead man's switch fired, or its process ended.",
            "Read its log, and see that the venue shows no open order.",
            "watchdog.md",
        ),
        AlertKind.WATCHDOG_LOST: AlertSpec(
            Severity.CRITICAL,
            "The controller has not reached its watchdog for ten seconds: nobody cancels if the controller falls silent now.",
            "Start the watchdog, or repair the way to it.",
            "watchdog.md",
            ends="the watchdog answers",
        ),
        AlertKind.SIGNER: AlertSpec(
            Severity.CRITICAL,
            "The signer process is not reached, ended, or has little of its budget of buys left.",
            "Read the detail; without a signer no order and no cancel leaves this controller.",
            "signer.md",
        ),
        AlertKind.KEY_EXPIRY: AlertSpec(
            Severity.WARNING,
            "An exchange key ends within five days, or has ended. After that no order and no cancel passes.",
            "Renew the key on MEXC's page, then correct api_key_ends in gatehouse.toml.",
            "verbs.md",
            ends="gatehouse.toml names a later end at a start",
        ),
        AlertKind.CERTIFICATE: AlertSpec(
            Severity.WARNING,
            "The remote console's certificate ends within ten days, has ended, or was renewed by one that cannot be used.",
            "Renew it in the files that [console.remote] names. It is used within a minute, without a restart.",
            "console.md",
            ends="the files hold one that lasts longer",
        ),
        AlertKind.DISK: AlertSpec(
            Severity.CRITICAL,
            "The journal's disk has little room, or its reserve cannot be set aside. A full disk halts.",
            "Free disk space.",
            _HUNG,
            ends="the disk has room again",
        ),
        AlertKind.BACKUP: AlertSpec(
            Severity.WARNING,
            "The newest backup that was verified is older than its schedule allows, or there is none.",
            "Run the backup by hand, and look why the schedule did not.",
            _PAGE,
            ends="a newer backup is verified",
        ),
        AlertKind.CRASH: AlertSpec(
            Severity.WARNING,
            "The process before this one did not end by itself: it was killed, it crashed, or the host lost its power.",
            "Read the last lines of its log; the start has verified the journal and read the account anew.",
            _HUNG,
        ),
        AlertKind.LEASE: AlertSpec(
            Severity.CRITICAL,
            "This controller may not write its journal any more, so it cancels what is open and ends.",
            "See that one controller leads: `gatehouse status` on the other host, or start this one again.",
            "standby.md",
        ),
        AlertKind.TAKEOVER: AlertSpec(
            Severity.CRITICAL,
            "This host leads now, because the one before fell silent.",
            "Look at the host that led before.",
            "standby.md",
        ),
        AlertKind.CHECKPOINT: AlertSpec(
            Severity.WARNING,
            "A checkpoint target or a witness does not agree, or does not answer.",
            "Read the detail: one that holds other entries than this journal is evidence of a changed journal.",
            "checkpoints.md",
            ends="the target takes a checkpoint again",
        ),
        AlertKind.FLATTEN: AlertSpec(
            Severity.WARNING,
            "A flatten began or ended: what gatehouse bought is sold.",
            "See what is left in `gatehouse balances`.",
            _POSITION,
        ),
        AlertKind.SYMBOL: AlertSpec(
            Severity.WARNING,
            "A symbol in which something is at stake cannot be traded at its venue.",
            "Read the venue's announcement of that symbol.",
            _VENUE,
        ),
        AlertKind.BOT_KEY: AlertSpec(
            Severity.WARNING,
            "A bot's gateway key is not usable: its secret is missing, or another one than was issued.",
            "Put the secret back, or issue a new key.",
            _LEAK,
        ),
        AlertKind.TESTNET: AlertSpec(
            Severity.INFO,
            "The testnet process that belongs to this deployment ended, and a new one starts.",
            "Read its log if it happens again.",
            "testnet-alone.md",
        ),
        AlertKind.ATTESTATION: AlertSpec(
            Severity.CRITICAL,
            "Somebody answers at the testnet's address without the testnet's key.",
            "Find out who listens there before anything that it says counts as evidence.",
            "testnet.md",
        ),
        AlertKind.PROPOSAL: AlertSpec(
            Severity.WARNING,
            "A policy or release file was found changed, and it is not in force.",
            "Sign the change, or put the file back.",
            "lifecycle.md",
        ),
        AlertKind.RATE: AlertSpec(
            Severity.WARNING,
            "The EUR rate left its band or is not read any more: buys are denied.",
            "Read which source is silent; sign a new centre if the rate has moved.",
            "eur-rate.md",
        ),
        AlertKind.RELEASE: AlertSpec(
            Severity.WARNING,
            "The bot on disk is not the release in force.",
            "Put the released bot back, or sign the new release.",
            "release.md",
        ),
        AlertKind.PAUSED: AlertSpec(
            Severity.INFO,
            "The venue in use is not seen, or is seen again. Without real money that cancels orders and pauses the coverage.",
            "Nothing, unless the alert coverage follows.",
            _VENUE,
        ),
        AlertKind.BACKGROUND: AlertSpec(
            Severity.WARNING,
            "Work beside the orders failed and is begun again: a comparison, a statistic, a reading.",
            "Read the detail; orders and halts do not need it.",
            _HUNG,
        ),
        AlertKind.CHANNEL: AlertSpec(
            Severity.WARNING,
            "A channel for alerts does not deliver, or had to drop alerts.",
            "Run `gatehouse alerts test`, and correct the channel that it names.",
            _PAGE,
            ends="the channel delivers again",
        ),
        AlertKind.STAGE: AlertSpec(
            Severity.INFO, "The deployment moved, or a command changed something.", "Nothing: a person signed it.", "lifecycle.md"
        ),
        AlertKind.COMMAND: AlertSpec(
            Severity.INFO,
            "A command waits: for another signature, or for the end of its cooling-off period.",
            "Read what it does with `gatehouse inspect FILE`; any key can veto one that waits for its time.",
            "signing.md",
        ),
    }
)
"""Every kind of alert."""

INFORMS = frozenset(kind for kind, spec in ALERTS.items() if spec.severity is Severity.INFO)
"""The kinds that need no acknowledgement: an operator asked for it, or it resolves itself. All others stay until acknowledged."""


def severity_of(kind: AlertKind) -> Severity:
    """How much an alert of this kind hurries."""
    return ALERTS[kind].severity


def at_least(severity: Severity, floor: Severity) -> bool:
    """Whether a severity is the floor or more."""
    return SEVERITY_ORDER.index(severity) >= SEVERITY_ORDER.index(floor)
