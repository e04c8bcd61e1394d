"""Messages about a checkpoint target never show a secret of its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.journal.publishing import Outcome
from controller.journal.targets import https
from controller.journal.targets.git import GitRemote, GitTarget
from controller.journal.targets.webhook import WebhookTarget
from controller.runtime.loop.clock import SystemClock
from exchange.errors import ConfigError
from tests.support.checkpoint_hook import Hook, running_hook
from tests.support.checkpoint_target_cases import published
from tests.support.logbook import Logbook

LOG = Logbook()
TOKEN = "hunter2hunter2"


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with running_hook() as found:
        yield found


@pytest.mark.parametrize(
    "url",
    [f"https://user:{TOKEN}@example.com/", f"https://{TOKEN}@example.com/", f"ftp://{TOKEN}@example.com/", f"https:{TOKEN}"],
)
def test_an_address_with_a_password_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError) as found:
        https.checked_url(url, loopback=True)
    assert TOKEN not in str(found.value)


@pytest.mark.parametrize("url", [f"https://{TOKEN}@example.com/x.git", f"https://user:{TOKEN}@example.com/x.git"])
def test_a_remote_with_a_token_is_refused_without_showing_it(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError) as found:
        GitTarget("backup", GitRemote(url, "main"), tmp_path / "w.git", LOG.owner, LOG.key, now=SystemClock().now)
    assert (found.value.code, TOKEN in str(found.value)) == ("checkpoint-address", False)


@pytest.mark.parametrize("url", ["ssh://git@example.com/x.git", "git@example.com:x.git", "https://example.com/x.git"])
def test_a_remote_without_a_password_is_accepted(tmp_path: Path, url: str) -> None:
    GitTarget("backup", GitRemote(url, "main"), tmp_path / "w.git", LOG.owner, LOG.key, now=SystemClock().now)


async def test_an_answer_that_repeats_the_address_is_not_shown(hook: Hook) -> None:
    hook.answer, hook.says = 404, f"Cannot POST /hook?key={TOKEN}"
    target = WebhookTarget("chat", f"{hook.url}?key={TOKEN}", "", loopback=True)
    found = await published(target, LOG, 3)
    assert (found.outcome, "404" in found.problem, TOKEN in found.problem) == (Outcome.REFUSED, True, False)


@pytest.mark.parametrize("token", [f"{TOKEN}\nmore", f"{TOKEN}\x00", f"a {TOKEN}\r\nx: y"])
async def test_a_token_unfit_for_a_header_is_refused_without_showing_it(hook: Hook, token: str) -> None:
    with pytest.raises(ConfigError) as found:
        WebhookTarget("chat", hook.url, token, loopback=True)
    assert (found.value.code, TOKEN in str(found.value)) == ("checkpoint-secret", False)
