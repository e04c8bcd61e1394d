"""Shows copies that were made, verified, put back or planned. Called by ``cli.backup.verbs``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from controller.backup.create import Created
from controller.backup.manifest import Manifest
from controller.backup.schedule import Schedule
from controller.cli.backup.opening import RestoredCopy, VerifiedCopy
from controller.cli.shared.output import duration, instant, outcome, stdout
from controller.journal.publishing import Reading

_SHOWN = 10


def print_identity(file: Path, public: str) -> None:
    """Print where the identity is and what goes into the settings."""
    console = stdout()
    console.print(f"The identity is in {file}, mode 0600. It opens every copy made for it: keep it away from the trading machine.")
    console.print("Below [backup] in gatehouse.toml:")
    console.print(f'  recipients = ["{public}"]', soft_wrap=True)


def created_document(made: Created) -> dict[str, Any]:
    """A copy that was made, as JSON values."""
    return {
        "file": str(made.path),
        "bytes": made.size,
        "ms": round(made.seconds * 1000),
        "removed": [str(path) for path in made.removed],
        **_manifest_document(made.manifest),
    }


def print_created(made: Created) -> None:
    """Print a copy that was made."""
    console, manifest = stdout(), made.manifest
    files = len(manifest.files)
    console.print(outcome(f"{made.path}, {_size(made.size)}, {files} files, in {made.seconds:.1f} s", "made"), soft_wrap=True)
    _print_journal(manifest)
    for one in manifest.left_out[:_SHOWN]:
        console.print(f"not copied: {one}", soft_wrap=True)
    if len(manifest.left_out) > _SHOWN:
        console.print(f"not copied: {len(manifest.left_out) - _SHOWN} more; -o json names all")
    if manifest.with_secrets:
        console.print("It holds the secrets of this deployment: who opens it can trade.", style="yellow")
    else:
        console.print("It holds no secrets. Keep them in a place of their own, checkpoint.key among them.")
    for path in made.removed:
        console.print(f"removed: {path.name}", soft_wrap=True)


def verified_document(copy: VerifiedCopy) -> dict[str, Any]:
    """A verified copy as JSON values."""
    return {
        "file": str(copy.path),
        "bytes": copy.size,
        "ms": round(copy.seconds * 1000),
        "age_ms": copy.age_ms,
        "recorded": copy.kept,
        "stage": copy.found.stage,
        "fingerprint": copy.found.fingerprint,
        "commands": asdict(copy.found.audit),
        **_manifest_document(copy.found.manifest),
    }


def print_verified(copy: VerifiedCopy) -> None:
    """Print a verified copy."""
    console, found = stdout(), copy.found
    console.print(outcome(f"{copy.path.name}, {_size(copy.size)}, in {copy.seconds:.1f} s"), soft_wrap=True)
    _print_journal(found.manifest)
    audit = found.audit
    console.print(
        f"replayed: {found.stage}, {found.decisions} decisions; {audit.accepted + audit.waited} commands with valid signatures; "
        f"{audit.rejudged} verdicts judged again with the same result"
    )
    console.print(f"signed by {found.manifest.key}", soft_wrap=True)
    console.print(f"What was written in the last {duration(copy.age_ms)} is not in it.")
    if not copy.kept:
        console.print("Not recorded: the deployment it is of is not here (--dir).")


def restored_document(copy: RestoredCopy) -> dict[str, Any]:
    """A deployment that was put back, as JSON values."""
    lost = copy.lost
    return {
        "file": str(copy.path),
        "directory": str(copy.restored.directory),
        "ms": round(copy.seconds * 1000),
        "age_ms": copy.age_ms,
        "lost": {"entries": lost.count, "known_to": lost.holder} if lost is not None else None,
        "targets": [
            {"target": one.target, "size": one.held.size if one.held is not None else 0, "problem": one.problem}
            for one in copy.targets
        ],
        "targets_problem": copy.problem,
        **_manifest_document(copy.restored.found.manifest),
    }


def print_restored(copy: RestoredCopy) -> None:
    """Print a deployment that was put back, and what to do next."""
    console, manifest, directory = stdout(), copy.restored.found.manifest, copy.restored.directory
    console.print(outcome(f"{copy.path.name} into {directory}, in {copy.seconds:.1f} s", "restored"), soft_wrap=True)
    _print_journal(manifest)
    console.print(f"It was at {copy.restored.found.stage}. Its next start is HALTED, and only a signed command ends that.")
    _print_lost(copy)
    console.print("Next:", style="bold")
    steps = ["Be sure that the old controller is stopped and stays stopped: two must never trade on one account."]
    if not manifest.with_secrets:
        steps.append(f"Put the secrets back into {directory}, mode 0600: {', '.join(_needed(manifest)) or 'as before'}.")
    steps += [
        "Cancel at the venue what is open and was ordered after the copy; the journal does not know it.",
        f"gatehouse doctor --dir {directory}, then gatehouse run --dir {directory}",
        (
            f"gatehouse backup confirm --dir {directory}, unless a checkpoint shows that nothing is lost: it names the keys that "
            "were revoked after the copy. No signed command counts before."
        ),
        f"gatehouse status --dir {directory} names the ways out; sign one: gatehouse resume or gatehouse reset.",
    ]
    for number, step in enumerate(steps, 1):
        console.print(f"  {number}. {step}", soft_wrap=True)


def _needed(manifest: Manifest) -> list[str]:
    """The secrets that a start needs. The keys of persons are theirs to keep."""
    secrets = (name for one in manifest.left_out if (name := one.removesuffix(": a secret")) != one)
    return [name for name in secrets if not name.startswith("keys/")]


def _print_lost(copy: RestoredCopy) -> None:
    console, manifest = stdout(), copy.restored.found.manifest
    for one in copy.targets:
        console.print(f"{one.target}: {_said(one, manifest)}", soft_wrap=True)
    if copy.problem:
        console.print(f"the checkpoint targets were not compared: {copy.problem}", style="yellow", soft_wrap=True)
    if copy.lost is not None:
        since = instant(manifest.until)
        console.print(
            f"{copy.lost.count} entries are lost, written after {since} UTC: {copy.lost.holder} knows them. Look for a newer copy "
            "or the old disk first. To go on without them, name new checkpoint targets in gatehouse.toml.",
            style="bold red",
            soft_wrap=True,
        )
    elif not copy.targets:
        console.print("No checkpoint target was compared, so nothing shows whether entries are lost.", style="yellow")


def _said(one: Reading, manifest: Manifest) -> str:
    if one.problem or one.held is None:
        return f"not compared: {one.problem or 'it holds no checkpoint'}"
    if one.held.size > manifest.journal.entries:
        return f"knows {one.held.size} entries, {one.held.size - manifest.journal.entries} more than the copy has"
    return f"knows {one.held.size} entries, no more than the copy has"


def schedule_document(schedule: Schedule) -> dict[str, Any]:
    """A schedule as JSON values."""
    return {"units": dict(schedule.units), "cron": schedule.cron, "written": [str(path) for path in schedule.written]}


def print_schedule(schedule: Schedule) -> None:
    """Print the units or where they were written, the cron line, and how to start them."""
    console = stdout()
    for name, text in schedule.units.items():
        if not schedule.written:
            console.print(f"# {name}", style="bold")
            console.print(text, soft_wrap=True)
    for path in schedule.written:
        console.print(f"written: {path}", soft_wrap=True)
    timer = next(name for name in schedule.units if name.endswith(".timer"))
    console.print("Put both files into /etc/systemd/system, then:" if not schedule.written else "Then, as root:")
    console.print(f"  systemctl daemon-reload && systemctl enable --now {timer}", soft_wrap=True)
    console.print("Or, without systemd, this line for `crontab -e`:")
    console.print(f"  {schedule.cron}", soft_wrap=True)


def _print_journal(manifest: Manifest) -> None:
    journal = manifest.journal
    console = stdout()
    console.print(f"journal of {manifest.controller_id}: {journal.entries} entries until {instant(manifest.until)} UTC")
    console.print(f"head {journal.head}", soft_wrap=True)


def _manifest_document(manifest: Manifest) -> dict[str, Any]:
    return {
        "controller_id": manifest.controller_id,
        "gatehouse": manifest.gatehouse,
        "created_ms": manifest.created_ms,
        "entries": manifest.journal.entries,
        "head": manifest.journal.head,
        "until_ms": manifest.until,
        "with_secrets": manifest.with_secrets,
        "files": [one.name for one in manifest.files],
        "left_out": list(manifest.left_out),
        "signed_by": manifest.key,
    }


def _size(count: int) -> str:
    return f"{count / 1024**2:.1f} MiB" if count >= 1024**2 else f"{_whole_kib(count)} KiB"


def _whole_kib(count: int) -> int:
    return -(-count // 1024)
