"""The documents of ``gatehouse journal``, ``gatehouse backup`` and ``gatehouse verify``."""

from __future__ import annotations

from typing import Literal

from controller.cli.schemas.document import AuditCounts, Document, JsonObject


class ArchivedRangeDocument(Document):
    """The entries with ``after < seq <= last`` that are in ``file`` and no longer in the journal."""

    after: int
    last: int
    hash: str
    file: str
    digest: str
    bytes: int


class ArchiveOfJournal(ArchivedRangeDocument):
    """One archive that the journal names."""

    verdict: Literal["verified", "missing"]


class ComparedCheckpoint(Document):
    """What a checkpoint target said; ``size`` is the number of entries that it knows."""

    target: str
    verdict: Literal["agrees", "empty", "unreachable"]
    size: int
    problem: str


class VerifiedJournal(Document):
    """A journal whose every entry was verified, in ``us`` microseconds; ``ok`` is false while an archive is missing."""

    ok: bool
    entries: int
    after: int
    head: str
    epoch: int
    us: int
    commands: AuditCounts
    archives: list[ArchiveOfJournal]
    checkpoints: list[ComparedCheckpoint]


class VerifiedArchiveFile(ArchivedRangeDocument):
    """An archive file that was verified; ``named_by_journal`` is null where there is no journal to ask."""

    ok: Literal[True]
    controller_id: str
    root: str
    compared: int
    named_by_journal: bool | None


class KeptEntry(Document):
    """Why entries from ``seq`` on stay in the journal."""

    seq: int
    what: str


class PublishedCheckpoint(Document):
    """What became of publishing a checkpoint to a target; ``problem`` is empty where it was taken."""

    target: str
    outcome: str
    problem: str


class ArchivedJournal(ArchivedRangeDocument):
    """What an archiving moved, and the sizes of the journal's files before and after."""

    path: str
    root: str
    record: int
    journal_bytes_before: int
    journal_bytes_after: int
    resumed: bool
    kept_for: list[KeptEntry]
    published: list[PublishedCheckpoint]


class ExportDocument(Document):
    """An export of all entries."""

    directory: str
    format: str
    controller_id: str
    entries: int
    head: str
    merkle_root: str
    lines_digest: str


class VenueResult(Document):
    """What a venue's part of the journal comes to; amounts are decimal strings, by asset."""

    balances: dict[str, str]
    fills: int
    volume_quote: str
    pnl_eur: str
    traded: dict[str, str]
    fees: dict[str, str]


class OpenOrder(Document):
    """An order that is open at the journal's head."""

    client_id: str
    venue: str
    symbol: str
    side: str
    type: str
    status: str
    price: str | None
    quantity: str | None
    executed: str


class ReplayDocument(Document):
    """The state that the entries fold to; the digests are empty before there is one."""

    entries: int
    head: str
    at_ms: int
    fingerprint: str
    stage: str
    step: int
    armed: bool
    policy: str
    roster: str
    release: str
    venues: dict[str, VenueResult]
    open_orders: list[OpenOrder]
    decisions: dict[str, int]
    verdicts_judged_again: int
    statistics_computed_again: int


class CheckpointKeyDocument(Document):
    """The public key that a deployment's checkpoints are signed with."""

    key: str


class CheckpointDocument(Document):
    """A signed checkpoint, and what became of it at each target."""

    checkpoint: str
    public_key: str
    published: list[PublishedCheckpoint]


class BackupIdentity(Document):
    """A new identity: the file opens copies, the recipient closes them."""

    identity_file: str
    recipient: str


class _Copy(Document):
    controller_id: str
    gatehouse: str
    created_ms: int
    entries: int
    head: str
    until_ms: int
    with_secrets: bool
    files: list[str]
    left_out: list[str]
    signed_by: str
    file: str
    ms: int


class CopyMade(_Copy):
    """A copy that was made in ``ms``, and the older ones that were removed for it."""

    bytes: int
    removed: list[str]


class CopyVerified(_Copy):
    """A copy that was opened, verified and replayed; ``recorded`` says whether the deployment keeps the time of it."""

    bytes: int
    age_ms: int
    recorded: bool
    stage: str
    fingerprint: str
    commands: AuditCounts


class LostEntries(Document):
    """Entries that the copy lacks, and who knows of them."""

    entries: int
    known_to: str


class AskedTarget(Document):
    """What a checkpoint target knows: so many entries, or why it could not be asked."""

    target: str
    size: int
    problem: str


class CopyRestored(_Copy):
    """A deployment that was put back into ``directory``; ``lost`` is null where no lost entry is known."""

    directory: str
    age_ms: int
    lost: LostEntries | None
    targets: list[AskedTarget]
    targets_problem: str


class RosterKeyStanding(Document):
    """A key of the restored roster; ``standing`` is its status, or that it was revoked after the copy."""

    person: str
    role: str
    id: str
    standing: str


class RosterConfirmed(Document):
    """The roster of a restored deployment; signed commands count once it is ``confirmed``."""

    roster: str
    version: int
    confirmed: bool
    keys: list[RosterKeyStanding]


class ScheduleDocument(Document):
    """The text of the units by name, a line for cron, and the files that were written."""

    units: dict[str, str]
    cron: str
    written: list[str]


class ExportVerified(Document):
    """An export that was verified and folded again."""

    what: Literal["export"]
    entries: int
    head: str
    merkle_root: str
    controller_id: str
    stage: str
    fingerprint: str
    audit: AuditCounts
    rejudged: int
    recomputed: int
    compared: int


class VerdictDocument(Document):
    """A report's verdict: one word, its tone (``good``, ``wait`` or ``bad``) and a sentence."""

    word: str
    tone: Literal["good", "wait", "bad"]
    sentence: str


class VerifiedExport(ExportVerified):
    """``verify`` of an export."""

    ok: Literal[True]


class VerifiedBundle(Document):
    """``verify`` of an evidence bundle; ``result`` is the gate's result, judged again."""

    ok: Literal[True]
    what: Literal["bundle"]
    entry: int
    persons: list[str]
    result: JsonObject


class VerifiedReport(Document):
    """``verify`` of a report; ``export`` is null where it was not compared with the entries."""

    ok: Literal[True]
    what: Literal["report"]
    digest: str
    entries: int
    head: str
    verdict: VerdictDocument
    page: str
    export: ExportVerified | None
