"""A webhook as a checkpoint target: the note is posted once, to one address, and nowhere else."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from controller.journal.publishing import Outcome
from controller.journal.targets import https
from controller.journal.targets.webhook import WebhookTarget
from exchange.errors import ConfigError
from tests.support.checkpoint_hook import Hook, running_hook
from tests.support.checkpoint_target_cases import published
from tests.support.logbook import Logbook

LOG = Logbook()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with running_hook() as found:
        yield found


async def test_the_note_is_posted_with_the_token(hook: Hook) -> None:
    found = await published(WebhookTarget("chat", hook.url, "t0ken-t0ken", loopback=True), LOG, 3)
    assert (found.outcome, found.size) == (Outcome.TAKEN, 3)
    assert (hook.notes, hook.tokens) == ([LOG.note(3)], ["Bearer t0ken-t0ken"])


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (301, Outcome.REFUSED),
        (307, Outcome.REFUSED),
        (401, Outcome.REFUSED),
        (409, Outcome.REFUSED),
        (429, Outcome.UNREACHABLE),
        (500, Outcome.UNREACHABLE),
        (503, Outcome.UNREACHABLE),
    ],
)
async def test_any_other_answer_counts_as_refused(hook: Hook, status: int, outcome: Outcome) -> None:
    hook.answer = status
    found = await published(WebhookTarget("chat", hook.url, "", loopback=True), LOG, 3)
    assert (found.outcome, str(status) in found.problem) == (outcome, True)


async def test_a_proxy_of_the_environment_is_not_used(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await published(WebhookTarget("chat", hook.url, "", loopback=True), LOG, 3)).outcome is Outcome.TAKEN


async def test_a_request_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as never_accepting:
        url = f"http://127.0.0.1:{never_accepting.getsockname()[1]}/"
        found = await published(WebhookTarget("chat", url, "", loopback=True), LOG, 3)
    assert found.outcome is Outcome.UNREACHABLE


def test_its_name_does_not_show_its_address(hook: Hook) -> None:
    assert WebhookTarget("chat", "https://example.com/token-in-the-path", "", loopback=False).name == "webhook chat"


@pytest.mark.parametrize(("url", "loopback"), [("http://example.com/", True), ("http://127.0.0.1/", False), ("file:///etc", True)])
def test_only_https_is_allowed_to_other_machines(url: str, loopback: bool) -> None:
    with pytest.raises(ConfigError):
        WebhookTarget("chat", url, "", loopback=loopback)
