"""A deployment's folder is copied to another host. What the two share is a witness: the copy does not start beside the first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.keys import generate_key, save_key
from controller.journal.checkpoint import checkpoint_public_key, origin_of
from controller.journal.claim_note import LEASE_S, ClaimNote, Phase, holder_of
from controller.journal.cosignature import cosigner_key
from controller.runtime.loop.clock import SystemClock
from controller.settings.deployment import load_settings
from controller.witness.app import Witness, create_app, serving
from controller.witness.store import Store
from exchange.model import Millis
from tests.support.pair import second_host
from tests.support.rig import Rig, rig


@dataclass
class Shifted:
    """The system's clocks, with leases that can be over at once."""

    ahead_ns: int = 0

    def now(self) -> Millis:
        return SystemClock().now()

    def monotonic_ns(self) -> int:
        return SystemClock().monotonic_ns() + self.ahead_ns

    def lease_passes(self) -> None:
        self.ahead_ns += LEASE_S * 1_000_000_000


@dataclass(frozen=True)
class Shared:
    """What hosts share: a witness, and the key that a copied folder has too."""

    witness: Witness
    clock: Shifted
    private: Ed25519PrivateKey


@asynccontextmanager
async def two_hosts(directory: Path) -> AsyncIterator[tuple[Rig, Shared]]:
    """A deployment with a witness that has run for a while."""
    clock, key, private = Shifted(), generate_key(), generate_key()
    logs = {one.name: one for one in (checkpoint_public_key("rig", private),)}
    store = Store(directory / "witness", logs)
    witness = Witness("w", key, logs, store, clock)
    clock.lease_passes()
    async with serving(create_app(witness), "127.0.0.1", 0) as port:
        settings = f'to = "witness"\nname = "w"\nurl = "http://127.0.0.1:{port}"\nkey = "{cosigner_key("w", key).text}"'
        async with rig(directory / "first", checkpoints=f"[[checkpoints]]\n{settings}\n") as first:
            (directory / "first" / "var").mkdir(mode=0o700, exist_ok=True)
            save_key(private, directory / "first" / "var" / "checkpoint.key")
            await first.start()
            await first.armed()
            yield first, Shared(witness, clock, private)
    store.close()


def on_another_host(first: Rig, directory: Path) -> Rig:
    """A copy that shares neither the state directory nor a lock with the first."""
    copy = second_host(first, directory)
    copy.environment = {**first.environment, "XDG_STATE_HOME": str(directory.with_name("other-state"))}
    return copy


async def test_a_copy_on_another_host_does_not_start(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as (first, _):
        copy = on_another_host(first, tmp_path / "copy")
        try:
            await copy.start()
            assert await copy.exit_code() == 3
            said = " ".join(copy.tail().split())
        finally:
            await copy.stop()
        assert "[account-claimed]" in said
        assert "witness w says" in said
        assert (await first.status())["armed"]


async def test_a_controller_whose_account_was_taken_halts(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as (first, hosts):
        # The first was cut off from the witness for a lease, and a copy claimed the account there.
        account = load_settings(first.directory).live.fingerprint
        claim = ClaimNote(origin_of("rig"), account, holder_of("file-1-2", "another boot"), Phase.NEW, hosts.clock.now() // 1000)
        hosts.clock.lease_passes()
        assert hosts.witness.claim(claim.signed(hosts.private).encode()).status_code == 200
        halted = await first.until(lambda status: status["stage"] == "HALTED", within=120)
        assert halted["halt_class"] == "integrity"
        assert "another controller trades on this account" in halted["halt_reason"]


async def test_after_a_stop_the_copy_starts_at_once(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as (first, _):
        await first.stop()
        moved = on_another_host(first, tmp_path / "moved")
        try:
            await moved.start()
            await moved.armed()
        finally:
            await moved.stop()
        assert "waiting for the account's claim" not in moved.tail()
