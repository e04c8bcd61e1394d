"""Every changed byte of a copy is found and named, and so is a copy that somebody without the checkpoint key made."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyrage
import pytest

from controller.backup.create import create_backup
from controller.backup.opened import opened
from controller.backup.sealed import new_identity, seal
from controller.backup.stream import Member, packed
from controller.cli.setup.deployment import Ports, write_deployment
from exchange.errors import IntegrityError, Unauthorised
from exchange.model import Millis
from policies.stage import Stage
from tests.support.cli_kit import write_journal
from tests.support.desk import Desk
from tests.support.proofs import sizes


class Copy:
    """A copy, and the identity that opens it."""

    def __init__(self, folder: Path) -> None:
        deployment = folder / "deployment"
        write_deployment(deployment, Ports())
        (deployment / "var").mkdir()
        write_journal(Desk().walk_to(Stage.TESTNET_VALIDATING), deployment)
        (deployment / "keys" / "alice.key").rename(deployment / "var" / "checkpoint.key")
        self.identity, self.recipient = new_identity()
        with (deployment / "gatehouse.toml").open("a") as file:
            file.write(f'[backup]\nrecipients = ["{self.recipient}"]\n')
        self.path = create_backup(deployment, folder, now=lambda: Millis(1_700_000_000_000)).path
        self.content = self.path.read_bytes()
        self._scratch = folder / "scratch"

    @property
    def header(self) -> int:
        """How long the age header is."""
        return self.content.index(b"\n", self.content.index(b"\n--- ") + 1) + 1

    def problem(self, content: bytes) -> IntegrityError | Unauthorised | None:
        """What is found in a copy with this content."""
        path = self.path.with_name("changed")
        path.write_bytes(content)
        self._scratch.mkdir()
        try:
            opened(path, [self.identity], self._scratch)
        except (IntegrityError, Unauthorised) as error:
            return error
        finally:
            shutil.rmtree(self._scratch)
        return None

    def members(self) -> dict[str, bytes]:
        """The files in the copy, by name and in their order."""
        plain = zlib.decompress(pyrage.decrypt(self.content, [pyrage.x25519.Identity.from_str(self.identity)]), 31)
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            return {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]

    def sealed(self, members: dict[str, bytes]) -> bytes:
        """A copy with these files, made by somebody who knows the public age key alone."""
        stream = packed(Member(name, len(data), 0, partial(_once, data)) for name, data in members.items())
        made = io.BytesIO()
        seal(stream, made, [self.recipient])
        return made.getvalue()


def _once(data: bytes) -> Iterator[bytes]:
    yield data


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("copy"))


def test_the_copy_as_it_was_made_is_good(copy: Copy) -> None:
    assert copy.problem(copy.content) is None
    assert copy.problem(copy.sealed(copy.members())) is None


@pytest.mark.parametrize("most", sizes(short=60, long=6_000))
def test_a_changed_byte_is_found_and_its_place_named(copy: Copy, most: int) -> None:
    size = len(copy.content)
    places = {*range(0, size, max(1, size // most)), *range(copy.header - 5, copy.header + 20), size - 1}
    for place in sorted(places):
        content = bytearray(copy.content)
        content[place] ^= 1 << place % 8
        problem = copy.problem(bytes(content))
        assert problem is not None, f"byte {place} of {size} was changed and nothing was said"
        if place < copy.header:
            assert f"the first {copy.header} bytes" in problem.message or "header" in problem.message, problem.message
            continue
        assert problem.code == "backup-damaged"
        named = re.search(r"the bytes (\d+) to (\d+) of", problem.message)
        assert named is not None, problem.message
        assert int(named[1]) - 16 <= place < int(named[2])


@pytest.mark.parametrize("most", sizes(short=10, long=400))
def test_a_copy_that_was_cut_is_found(copy: Copy, most: int) -> None:
    size = len(copy.content)
    for length in range(0, size, max(1, size // most)):
        assert copy.problem(copy.content[:length]) is not None, length


def test_something_after_the_end_is_found(copy: Copy) -> None:
    assert copy.problem(copy.content + b"\0") is not None


def _changed(members: dict[str, bytes]) -> dict[str, bytes]:
    return {**members, "policy.toml": members["policy.toml"].replace(b"1", b"2")}


def _shorter(members: dict[str, bytes]) -> dict[str, bytes]:
    return {**members, "policy.toml": members["policy.toml"][:-1]}


def _without(members: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in members.items() if name != "policy.toml"}


def _with_one_more(members: dict[str, bytes]) -> dict[str, bytes]:
    return {**members, "../escaped": b"x"}


def _signed_for_another(members: dict[str, bytes]) -> dict[str, bytes]:
    return {**members, "manifest.json": members["manifest.json"].replace(b'"epoch": 1', b'"epoch": 2')}


FORGERIES = {
    _changed: "policy.toml is not the one that was copied",
    _shorter: "policy.toml is not the file that the manifest names",
    _without: "policy.toml is missing",
    _with_one_more: "../escaped is not the file that the manifest names",
    _signed_for_another: "the signature is over another manifest",
}


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_forged_copy_says_what_is_wrong(copy: Copy, forge: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    problem = copy.problem(copy.sealed(forge(copy.members())))
    assert problem is not None
    assert FORGERIES[forge] in problem.message
