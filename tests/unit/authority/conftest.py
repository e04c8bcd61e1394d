"""The real ssh-keygen, where there is one."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def ssh_keygen() -> str:
    found = shutil.which("ssh-keygen")
    if found is None:
        pytest.skip("ssh-keygen is not installed, so there is nothing to agree with")
    return found
