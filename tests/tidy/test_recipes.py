"""Every client has a page, a lock file of its version, and a transcript; nothing of the machine that ran it is in there."""

from __future__ import annotations

import re

import pytest

from controller.cli.bots.clients import Client, load_clients
from tests.support.bots.installing import RECIPES, lock_file

CLIENTS = [pytest.param(client, id=client.name) for client in load_clients().values()]


@pytest.mark.parametrize("client", CLIENTS)
def test_the_lock_file_has_the_version_of_the_data_file(client: Client) -> None:
    locked = set(re.findall(r"^(\S+==\S+)", lock_file(client).read_text(encoding="utf-8"), re.MULTILINE))
    assert set(client.requirements.splitlines()) <= locked


@pytest.mark.parametrize("client", CLIENTS)
def test_everything_in_a_lock_file_has_a_hash(client: Client) -> None:
    packages = re.split(r"^(?=\S+==)", lock_file(client).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert packages
    assert [package.partition(" ")[0] for package in packages if "--hash=sha256:" not in package] == []


@pytest.mark.parametrize("client", CLIENTS)
def test_a_transcript_names_no_folder_of_a_machine(client: Client) -> None:
    text = (RECIPES / client.name / "transcript.txt").read_text(encoding="utf-8")
    assert re.findall(r"/(?:tmp|root|home|work|Users)/\S*", text) == []
    assert "LIVE_€10" in text


@pytest.mark.parametrize("client", CLIENTS)
def test_a_page_is_listed_among_the_recipes(client: Client) -> None:
    assert f"({client.name}/README.md)" in (RECIPES / "README.md").read_text(encoding="utf-8")
