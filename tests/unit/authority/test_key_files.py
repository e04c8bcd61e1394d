"""Private keys in files, and digests as words."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from controller.authority.keys import generate_key, load_key, public_key, save_key
from controller.authority.wordcode import WORDS, word_code
from exchange.errors import ConfigError, UsageError
from tests.unit.authority.authority_kit import ALICE


def write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def code_of_loading(path: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        load_key(path)
    return refused.value.code


def test_a_saved_key_is_private_and_loads_again(tmp_path: Path) -> None:
    key = generate_key()
    save_key(key, tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert public_key(load_key(tmp_path / "key")) == public_key(key)


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    save_key(ALICE, tmp_path / "key")
    with pytest.raises(UsageError) as refused:
        save_key(generate_key(), tmp_path / "key")
    assert refused.value.code == "key-not-written"
    assert public_key(load_key(tmp_path / "key")) == public_key(ALICE)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o777])
def test_a_key_that_others_can_read_or_write_is_not_loaded(tmp_path: Path, mode: int) -> None:
    save_key(ALICE, tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    assert code_of_loading(tmp_path / "key") == "key-exposed"


def test_an_encrypted_key_is_not_loaded(tmp_path: Path, ssh_keygen: str) -> None:
    subprocess.run([ssh_keygen, "-q", "-t", "ed25519", "-N", "a passphrase", "-f", tmp_path / "key"], check=True)
    assert code_of_loading(tmp_path / "key") == "key-unreadable"


def test_a_key_of_another_type_is_not_loaded(tmp_path: Path) -> None:
    data = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    assert code_of_loading(write(tmp_path / "key", data)) == "key-unreadable"


@pytest.mark.parametrize("data", [b"", b"-----BEGIN OPENSSH PRIVATE KEY-----", bytes(200)])
def test_a_file_without_a_key_is_not_loaded(tmp_path: Path, data: bytes) -> None:
    assert code_of_loading(write(tmp_path / "key", data)) == "key-unreadable"


def test_a_missing_key_file_is_not_loaded(tmp_path: Path) -> None:
    assert code_of_loading(tmp_path / "absent") == code_of_loading(tmp_path) == "key-unreadable"


def test_no_error_shows_a_part_of_the_key(tmp_path: Path) -> None:
    save_key(ALICE, tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ConfigError) as refused:
        load_key(tmp_path / "key")
    body = (tmp_path / "key").read_text().split("\n")[1]
    assert body[:20] not in f"{refused.value.message} {refused.value.remedy}"


def test_there_are_256_words_that_differ_clearly() -> None:
    assert len(WORDS) == len({word[:4] for word in WORDS}) == 256
    assert all(word.isascii() and word.isalpha() and word.islower() for word in WORDS)
    assert min(distance(a, b) for i, a in enumerate(WORDS) for b in WORDS[:i] if abs(len(a) - len(b)) < 3) >= 3


def distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i, *[0] * len(b)] if (last := row) else row
        for j, y in enumerate(b, 1):
            row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
    return row[-1]


@given(st.binary(min_size=32, max_size=32))
def test_a_word_code_encodes_the_first_bytes_of_its_digest(digest: bytes) -> None:
    words = word_code(f"sha256:{digest.hex()}").split("-")
    assert bytes(map(WORDS.index, words)) == digest[:6]


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:" + "A" * 64, "md5:" + "a" * 64, "sha256:" + "a" * 64 + "\n"])
def test_a_text_that_is_no_digest_has_no_word_code(digest: str) -> None:
    with pytest.raises(UsageError):
        word_code(digest)


def test_ssh_keygen_reads_a_key_that_gatehouse_saved(tmp_path: Path, ssh_keygen: str) -> None:
    save_key(ALICE, tmp_path / "key")
    shown = subprocess.run([ssh_keygen, "-y", "-f", tmp_path / "key"], capture_output=True, text=True, check=True)
    assert shown.stdout.split()[:2] == public_key(ALICE).line.split()
