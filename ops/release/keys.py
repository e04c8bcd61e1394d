"""The key that a release is signed with. The test key is made from a public sentence, so everybody has it and it proves nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.keys import load_key

TEST_NAME, NAME = "gatehouse-TEST-release", "gatehouse-release"
TEST_SENTENCE = b"the test key of gatehouse's releases: everybody has it, and it proves nothing about who built a wheel"


def signing_key(path: Path | None) -> tuple[str, Ed25519PrivateKey]:
    """The name and the key of ``path``, or the test key."""
    if path is not None:
        return NAME, load_key(path)
    return TEST_NAME, Ed25519PrivateKey.from_private_bytes(hashlib.sha256(TEST_SENTENCE).digest())
