"""A bucket with object lock as a checkpoint target: it signs, publishes only locked objects, and reads hidden versions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from controller.journal.publishing import Outcome, read_from
from controller.journal.targets import bucket, https
from controller.journal.targets.bucket import BucketTarget
from controller.journal.targets.sigv4 import Credentials, query_of, signed_headers
from controller.runtime.loop.clock import SystemClock
from exchange.errors import ConfigError, IntegrityError
from exchange.model import Millis
from tests.support.bucket_server import ACCESS_KEY, BUCKET, REGION, SECRET, BucketServer, running_bucket
from tests.support.checkpoint_target_cases import bucket_target, published
from tests.support.logbook import Logbook

LOG = Logbook()
# The worked example of AWS's "Signature Calculations for the Authorization Header", GET Object.
EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
AT = 1_369_353_600


@pytest.fixture
async def server() -> AsyncIterator[BucketServer]:
    async with running_bucket() as found:
        yield found


@pytest.fixture
def target(server: BucketServer) -> BucketTarget:
    return bucket_target(server, LOG, LOG.key)


@pytest.mark.parametrize(
    ("path", "parameters", "headers", "signature"),
    [
        ("/test.txt", {}, {"range": "bytes=0-9"}, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("/", {"lifecycle": ""}, {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/", {"max-keys": "2", "prefix": "J"}, {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_signature_equals_a_published_example(
    path: str, parameters: dict[str, str], headers: dict[str, str], signature: str
) -> None:
    query = query_of(parameters)
    sent = signed_headers(EXAMPLE, "GET", "examplebucket.s3.amazonaws.com", path, query, headers, b"", AT)
    assert sent["authorization"].endswith(f"Signature={signature}")


async def test_each_checkpoint_is_one_object_and_the_newest_is_listed_first(server: BucketServer, target: BucketTarget) -> None:
    for size in (3, 9, 120):
        assert (await published(target, LOG, size)).outcome is Outcome.TAKEN
    assert [key.rpartition("-")[2] for key in server.keys] == ["120.checkpoint", "9.checkpoint", "3.checkpoint"]


async def test_a_checkpoint_is_locked_for_everyone(server: BucketServer, target: BucketTarget) -> None:
    await published(target, LOG, 3)
    (version,) = server.versions[server.keys[0]]
    assert version.lock == "COMPLIANCE"
    assert not server.delete(server.keys[0], version.id)


async def test_a_bucket_without_locks_counts_as_refused(server: BucketServer, target: BucketTarget) -> None:
    server.locks = False
    found = await published(target, LOG, 3)
    assert found.outcome is Outcome.REFUSED
    assert "did not lock" in found.problem


async def test_a_checkpoint_hidden_behind_a_deletion_marker_is_still_read(server: BucketServer, target: BucketTarget) -> None:
    await published(target, LOG, 3)
    await published(target, LOG, 9)
    server.hide(server.keys[0])
    assert await target.read() == LOG.checkpoint(9)
    assert (await published(target, LOG, 5)).outcome is Outcome.CONTRADICTS


async def test_two_checkpoints_of_one_size_are_two_histories(server: BucketServer, target: BucketTarget) -> None:
    await published(target, LOG, 9)
    server.put(server.keys[0], LOG.forked(2).note(9).encode())
    with pytest.raises(IntegrityError, match="two histories"):
        await read_from(target)


async def test_an_object_under_another_key_is_invalid(server: BucketServer, target: BucketTarget) -> None:
    await published(target, LOG, 9)
    server.put(server.keys[0].replace("-9.", "-10.").replace("90-", "89-"), LOG.note(3).encode())
    with pytest.raises(IntegrityError, match="holds the checkpoint of 3 entries"):
        await read_from(target)


async def test_other_objects_in_the_bucket_are_ignored(server: BucketServer, target: BucketTarget) -> None:
    server.put("desk/gatehouse-desk-1/0-hello.txt", b"hello")
    server.hide("desk/gatehouse-desk-1/0-never-there")
    await published(target, LOG, 9)
    assert await target.read() == LOG.checkpoint(9)


async def test_a_bucket_with_only_other_objects_is_not_read_as_empty(server: BucketServer, target: BucketTarget) -> None:
    for number in range(1001):
        server.hide(f"desk/gatehouse-desk-1/000{number}")
    with pytest.raises(IntegrityError, match="no checkpoints"):
        await read_from(target)


NO_LISTING = [
    pytest.param("", id="nothing"),
    pytest.param("<html><body>Sign in</body>", id="a web page"),
    pytest.param("<ListVersionsResult><IsTruncated>false</IsTruncated>", id="a listing cut off"),
    pytest.param("<ListBucketResult></ListBucketResult>", id="a listing of objects"),
    pytest.param("<Error><Code>InternalError</Code></Error>", id="an error"),
    pytest.param('<!DOCTYPE x [<!ENTITY a "aaaa">]><ListVersionsResult>&a;</ListVersionsResult>', id="entities"),
]


@pytest.mark.parametrize("listing", NO_LISTING)
async def test_an_answer_without_a_listing_is_not_read_as_empty(server: BucketServer, target: BucketTarget, listing: str) -> None:
    server.listing = listing
    with pytest.raises(IntegrityError, match="not a listing of versions") as found:
        await read_from(target)
    assert found.value.code == "checkpoint-malformed"


async def test_a_listing_without_an_xml_namespace_is_read(server: BucketServer, target: BucketTarget) -> None:
    await published(target, LOG, 9)
    versions = f"<Version><Key>{server.keys[0]}</Key><VersionId>v0</VersionId></Version>"
    server.listing = f"<ListVersionsResult>{versions}</ListVersionsResult>"
    assert await target.read() == LOG.checkpoint(9)


async def test_a_prefix_with_xml_characters_is_found(server: BucketServer) -> None:
    there = bucket.Bucket(server.url, BUCKET, "r&d <desk>/", 30, Credentials(ACCESS_KEY, SECRET, REGION))
    target = BucketTarget("locked", there, LOG.owner, LOG.key, now=SystemClock().now, loopback=True)
    await published(target, LOG, 9)
    assert await target.read() == LOG.checkpoint(9)


async def test_an_object_written_meanwhile_is_compared_and_not_replaced(server: BucketServer, target: BucketTarget) -> None:
    real_read = target.read

    async def read_then_overtaken() -> object:
        held = await real_read()
        await published(bucket_target(server, LOG, LOG.key), LOG.forked(2), 9)
        return held

    target.read = read_then_overtaken  # type: ignore[method-assign]
    found = await published(target, LOG, 9)
    assert found.outcome is Outcome.CONTRADICTS
    assert len(server.versions[server.keys[0]]) == 1


async def test_a_wrong_secret_is_refused_with_the_buckets_answer(server: BucketServer) -> None:
    found = await published(bucket_target(server, LOG, LOG.key, secret="another"), LOG, 3)
    assert found.outcome is Outcome.REFUSED
    assert "SignatureDoesNotMatch" in found.problem


def test_plain_http_is_allowed_only_to_this_machine() -> None:
    for url in ("http://example.com", "https://user@example.com", "ftp://127.0.0.1", "https://"):
        with pytest.raises(ConfigError) as refused:
            bucket_target(BucketServer(url), LOG, LOG.key)
        assert refused.value.code == "checkpoint-address"


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("https://S3.Example.com", "s3.example.com"),
        ("https://s3.example.com:443", "s3.example.com"),
        ("https://s3.example.com:9000", "s3.example.com:9000"),
    ],
)
async def test_the_signed_host_equals_the_sent_host(endpoint: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[str] = []

    def noting(credentials: Credentials, method: str, host: str, *rest: Any) -> dict[str, str]:
        signed.append(host)
        return {}

    async def answering(method: str, url: str, **_: Any) -> https.Answer:
        request = httpx.Request(method, url)
        assert request.headers["host"] == host
        return https.Answer(200, {}, b"<ListVersionsResult/>")

    monkeypatch.setattr(bucket, "signed_headers", noting)
    monkeypatch.setattr(https, "send", answering)
    there = bucket.Bucket(endpoint, "checkpoints", "", 30, Credentials("AK", "secret", "us-east-1"))
    await BucketTarget("locked", there, LOG.owner, LOG.key, now=lambda: Millis(0), loopback=False).read()
    assert signed == [host]


@pytest.mark.parametrize("endpoint", ["https://s3.example.com/minio", "https://s3.example.com?x"])
def test_an_endpoint_with_a_path_is_refused(endpoint: str) -> None:
    there = bucket.Bucket(endpoint, "checkpoints", "", 30, Credentials("AK", "secret", "us-east-1"))
    with pytest.raises(ConfigError):
        BucketTarget("locked", there, LOG.owner, LOG.key, now=lambda: Millis(0), loopback=False)
