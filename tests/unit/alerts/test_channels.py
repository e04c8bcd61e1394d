"""Apprise and the signed webhook against real servers: what is handed over, what is refused, and that no address gets out."""

from __future__ import annotations

import base64
import email
import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator
from threading import Event

import pytest

from controller.alerts.apprise_channel import AppriseChannel
from controller.alerts.notice import ChannelError, Notice, Source
from controller.alerts.webhook import Webhook
from controller.core.effects import AlertKind
from exchange.errors import ConfigError
from exchange.model import Millis
from tests.support.receivers import Receiver, dripping, mailing, receiving
from tests.support.rig import free_port

SECRET = "a-secret-of-the-receiver"
NOTICE = Notice(
    Source("anna-btc", "rehearsal"), AlertKind.HALTED, "MOCK → HALTED", "halt: it misbehaves", Millis(1_800_000_000_000)
)
HERE = ("127.0.0.1",)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def webhook(port: int, path: str = "/alerts", **options: object) -> Webhook:
    return Webhook("pager", f"http://127.0.0.1:{port}{path}", SECRET, private=HERE, **options)  # type: ignore[arg-type]


def why(channel: AppriseChannel | Webhook) -> str:
    with pytest.raises(ChannelError) as refused:
        channel.send(NOTICE)
    return refused.value.message


def test_apprise_posts_what_happened_and_what_to_do(receiver: Receiver) -> None:
    AppriseChannel("chat", f"json://127.0.0.1:{receiver.port}/room").send(NOTICE)
    (post,) = receiver.posts
    body = json.loads(post.body)
    assert body["title"] == "[CRITICAL] anna-btc: MOCK → HALTED"
    assert body["type"] == "failure"
    assert "halt: it misbehaves" in body["message"]
    assert "ops/docs/runbooks/halted-at-3-am.md" in body["message"]


def test_apprise_sends_mail() -> None:
    with mailing() as mailbox:
        AppriseChannel("mail", f"mailto://127.0.0.1:{mailbox.port}?from=a@x.test&to=b@y.test&mode=insecure").send(NOTICE)
    (message,) = mailbox.messages
    parsed = email.message_from_string(message)
    assert parsed["to"] == "b@y.test"
    assert "HALTED" in str(email.header.make_header(email.header.decode_header(parsed["subject"])))


def test_apprise_says_which_status_refused(receiver: Receiver) -> None:
    receiver.status = 500
    assert why(AppriseChannel("chat", f"json://127.0.0.1:{receiver.port}")) == "HTTP 500"


def test_apprise_says_that_nobody_listens() -> None:
    assert why(AppriseChannel("chat", f"json://127.0.0.1:{free_port()}")) == "the connection was refused"


def test_apprise_says_that_no_answer_came() -> None:
    with receiving(hang=Event()) as hanging:
        assert why(AppriseChannel("chat", f"json://127.0.0.1:{hanging.port}?rto=0.2")) == "no answer in time"


def test_apprise_sends_on_the_thread_that_asks(receiver: Receiver) -> None:
    before = set(threading.enumerate())
    AppriseChannel("chat", f"json://127.0.0.1:{receiver.port}").send(NOTICE)
    assert [one.name for one in set(threading.enumerate()) - before if "process_request" not in one.name] == []


def test_apprise_follows_no_redirect(receiver: Receiver) -> None:
    with receiving(307, location=f"http://127.0.0.1:{receiver.port}/elsewhere") as first:
        assert why(AppriseChannel("chat", f"json://127.0.0.1:{first.port}")) == "HTTP 307"
    assert receiver.posts == []


def test_an_unknown_service_is_refused_at_the_start_without_its_url() -> None:
    with pytest.raises(ConfigError) as refused:
        AppriseChannel("chat", "nothing://token-of-mine")
    assert "token-of-mine" not in f"{refused.value}{refused.value.message}{refused.value.remedy}"


@pytest.mark.parametrize("status", [200, 500, 0], ids=["taken over", "failed", "refused"])
def test_no_address_reaches_a_log(status: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    with receiving(status or 200) as server:
        port = server.port if status else free_port()
        for channel in (
            AppriseChannel("chat", f"json://user:pass-of-mine@127.0.0.1:{port}/path-of-mine?+X-Token=header-of-mine"),
            webhook(port, "/path-of-mine?token=header-of-mine"),
        ):
            if status == 200:
                channel.send(NOTICE)
            else:
                assert "of-mine" not in why(channel)
    written = "".join(capfd.readouterr()) + caplog.text
    assert [one for one in ("pass-of-mine", "path-of-mine", "header-of-mine", str(port)) if one in written] == []


def test_a_webhook_is_signed_as_the_standard_says(receiver: Receiver) -> None:
    webhook(receiver.port).send(NOTICE)
    (post,) = receiver.posts
    signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
    wanted = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert post.headers["webhook-signature"] == f"v1,{wanted}"
    assert json.loads(post.body)["kind"] == "halted"
    assert SECRET.encode() not in post.body


def test_a_repeated_webhook_has_the_same_id(receiver: Receiver) -> None:
    for _ in range(2):
        webhook(receiver.port).send(NOTICE)
    first, second = receiver.posts
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_each_attempt_of_a_webhook_is_dated_when_it_is_made(receiver: Receiver) -> None:
    webhook(receiver.port, now_s=lambda: 1_800_086_400.9).send(NOTICE)
    assert receiver.posts[0].headers["webhook-timestamp"] == "1800086400"
    assert json.loads(receiver.posts[0].body)["at_ms"] == NOTICE.at


def test_a_secret_of_the_standards_form_signs_with_its_bytes(receiver: Receiver) -> None:
    key = bytes(range(24))
    secret = "whsec_" + base64.b64encode(key).decode()
    Webhook("pager", f"http://127.0.0.1:{receiver.port}/", secret, private=HERE).send(NOTICE)
    (post,) = receiver.posts
    signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert post.headers["webhook-signature"] == f"v1,{wanted}"


def test_a_secret_that_was_cut_off_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match="not base64"):
        Webhook("pager", "https://receiver.test/", "whsec_AAA")


def test_a_receiver_that_sends_a_byte_now_and_then_is_left() -> None:
    with dripping() as port:
        assert why(webhook(port, timeout_s=0.2)) == "no whole answer in 0.2 s"


INSIDE = ["127.0.0.1", "10.0.0.7", "169.254.169.254", "0.0.0.0"]
INSIDE_6 = ["::1", "fe80::1", "fec0::1", "::ffff:10.0.0.7", "::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1"]


@pytest.mark.parametrize("address", INSIDE + INSIDE_6)
def test_a_webhook_leads_to_no_private_address_unnamed(address: str, receiver: Receiver) -> None:
    channel = Webhook("pager", "https://receiver.test/", SECRET, resolve_name=lambda *_: [address])
    assert "private" in why(channel)
    assert receiver.asked == 0


def test_one_private_address_among_public_ones_is_refused() -> None:
    channel = Webhook("pager", "https://receiver.test/", SECRET, resolve_name=lambda *_: ["93.184.215.14", "192.168.0.1"])
    assert "private" in why(channel)


def test_a_webhook_connects_to_the_address_that_was_judged(receiver: Receiver) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    Webhook("pager", f"http://receiver.test:{receiver.port}/", SECRET, private=HERE, resolve_name=rebinding).send(NOTICE)
    assert asked == ["receiver.test"]
    assert receiver.posts[0].headers["host"] == f"receiver.test:{receiver.port}"


def test_a_webhook_follows_no_redirect(receiver: Receiver) -> None:
    with receiving(302, location=f"http://127.0.0.1:{receiver.port}/") as first:
        assert "redirects" in why(webhook(first.port))
    assert receiver.posts == []


@pytest.mark.parametrize(
    ("url", "private"),
    [("http://receiver.test/", ()), ("https://user:word@receiver.test/", ()), ("ftp://receiver.test/", HERE), ("https://", ())],
)
def test_a_webhook_address_that_is_not_allowed_is_refused(url: str, private: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as refused:
        Webhook("pager", url, SECRET, private=private)
    assert refused.value.code == "channel-address"


def test_a_webhook_says_that_no_answer_came() -> None:
    with receiving(hang=Event()) as hanging:
        assert why(webhook(hanging.port, timeout_s=0.2)) == "no answer in 0.2 s"


def test_a_webhook_says_which_status_refused(receiver: Receiver) -> None:
    receiver.status = 403
    assert why(webhook(receiver.port)) == "HTTP 403"
