"""Which documents each verb prints with ``-o json``, and their JSON Schema. ``schemas.verb`` and the tests use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from controller.cli.schemas import authority, deployment, evidence, journal, tapes
from controller.cli.schemas.document import EntryDocument, ErrorDocument, JsonObject
from controller.console.alerts import AlertView
from controller.console.drills import DrillView
from controller.console.flatten import FlattenView
from controller.console.schema import BalanceView, FillView, GateView, OrderView, ReceiptView, StatusView

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ERROR = "error"
"""The name under which the document of a failed verb is listed; it goes to standard error."""


@dataclass(frozen=True, slots=True)
class Printed:
    """The type of a verb's document. ``many``: it may print several, one after the other, until it ends."""

    type: Any
    many: bool = False


_RECEIPT = Printed(ReceiptView)
_RECEIPT_VERBS = (
    "submit", "approve", "advance", "ramp", "demote", "resume", "reset", "veto", "revoke", "set-roster", "set-policy",
    "set-release", "set-rate", "issue-bot-key", "revoke-bot-key", "ack-alert", "rebaseline", "archive",
)  # fmt: skip

PRINTED: Mapping[str, Printed] = MappingProxyType(
    dict.fromkeys(_RECEIPT_VERBS, _RECEIPT)
    | {
        ERROR: Printed(ErrorDocument),
        "init": Printed(deployment.InitDocument),
        "version": Printed(deployment.VersionDocument | deployment.InstallationDocument),
        "doctor": Printed(list[deployment.CheckDocument]),
        "run": Printed(deployment.ControllerReady | deployment.ControllerStandby | deployment.WaitingDocument, many=True),
        "testnet": Printed(deployment.TestnetReady | deployment.WaitingDocument | tapes.FillLine, many=True),
        "watchdog": Printed(deployment.WatchdogReady, many=True),
        "witness": Printed(deployment.WitnessReady, many=True),
        "fleet": Printed(deployment.FleetReady, many=True),
        "status": Printed(StatusView, many=True),
        "gates": Printed(list[GateView], many=True),
        "orders": Printed(list[OrderView]),
        "fills": Printed(list[FillView]),
        "balances": Printed(list[BalanceView]),
        "explain": Printed(evidence.Explained),
        "bot-config": Printed(deployment.BotConfigDocument),
        "propose": Printed(authority.Proposed),
        "sign": Printed(authority.SignedCommand),
        "inspect": Printed(authority.SignedCommand),
        "halt": Printed(ReceiptView | authority.HaltedByLatch),
        "drill": Printed(DrillView),
        "flatten": Printed(FlattenView | ReceiptView),
        "report": Printed(evidence.ReportDocument),
        "verify": Printed(journal.VerifiedExport | journal.VerifiedBundle | journal.VerifiedReport),
        "rehearse": Printed(evidence.RehearsalDocument),
        "schema": Printed(list[str] | JsonObject),
        "access add": Printed(authority.AccessToken),
        "access list": Printed(list[authority.AccessGrant]),
        "access revoke": Printed(list[authority.AccessGrant]),
        "alerts list": Printed(list[AlertView]),
        "alerts show": Printed(tapes.AlertExplained),
        "alerts test": Printed(list[tapes.TriedChannel]),
        "backup key": Printed(journal.BackupIdentity),
        "backup create": Printed(journal.CopyMade),
        "backup verify": Printed(journal.CopyVerified),
        "backup restore": Printed(journal.CopyRestored),
        "backup confirm": Printed(journal.RosterConfirmed),
        "backup schedule": Printed(journal.ScheduleDocument),
        "journal verify": Printed(journal.VerifiedJournal | journal.VerifiedArchiveFile),
        "journal archive": Printed(journal.ArchivedJournal),
        "journal tail": Printed(list[EntryDocument] | EntryDocument, many=True),
        "journal export": Printed(journal.ExportDocument),
        "journal replay": Printed(journal.ReplayDocument),
        "journal key": Printed(journal.CheckpointKeyDocument),
        "journal checkpoint": Printed(journal.CheckpointDocument),
        "keys new": Printed(authority.KeyDocument),
        "keys show": Printed(authority.KeyDocument),
        "keys import": Printed(authority.ImportedKey),
        "keys bot": Printed(authority.BotKeyDocument),
        "roster show": Printed(authority.RosterDocument),
        "policy check": Printed(deployment.PolicyChecked),
        "policy show": Printed(deployment.PolicyShown),
        "release digest": Printed(deployment.ReleaseDocument),
        "tape record": Printed(tapes.TapeDocument),
        "tape convert": Printed(tapes.TapeDocument),
        "tape inspect": Printed(tapes.TapeDocument),
        "tape compare": Printed(tapes.ComparedModels),
        "update check": Printed(deployment.UpdateDocument),
    }
)
"""Every verb that takes ``-o json``, and ``error``."""


def schema_of(verb: str) -> dict[str, Any]:
    """The JSON Schema of one document that the verb prints. Raises ``KeyError`` for a verb without one."""
    printed = PRINTED[verb]
    title = "what a failed verb prints to standard error" if verb == ERROR else f"gatehouse {verb} -o json"
    found = TypeAdapter(printed.type).json_schema(mode="serialization", by_alias=True)
    many = "It may print several such documents, one after the other." if printed.many else "It prints one such document."
    return {"$schema": DIALECT, "title": title, "$comment": many} | {key: value for key, value in found.items() if key != "title"}
