"""The witness as a server: it stores a checkpoint before it cosigns, across restarts, and its cosignatures follow C2SP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from controller.authority.keys import generate_key
from controller.journal.cosignature import cosign, cosigned_at, cosigner_key, parse_cosigner_key
from controller.journal.note import NoteKey
from controller.journal.publishing import Outcome
from controller.journal.targets import https
from controller.journal.targets.witness import WitnessTarget
from controller.witness import store as stores
from controller.witness.app import Tls, Witness, create_app, serving
from controller.witness.store import Store, digest_of
from exchange.errors import ConfigError, IntegrityError, Refused
from exchange.model import Millis
from tests.support.checkpoint_target_cases import published
from tests.support.logbook import Logbook, body

LOG = Logbook()
KEY = generate_key()
NAME = "witness.example/w1"
PUBLIC = cosigner_key(NAME, KEY)
NOW = 1_800_000_000


class Fixed:
    def now(self) -> Millis:
        return Millis(NOW * 1000 + 999)

    def monotonic_ns(self) -> int:
        return 0


@contextmanager
def opened(directory: Path) -> Iterator[httpx.AsyncClient]:
    store = Store(directory, {LOG.key.name: LOG.key})
    app = create_app(Witness(NAME, KEY, {LOG.key.name: LOG.key}, store, Fixed()))
    try:
        yield httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://witness")
    finally:
        store.close()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.AsyncClient]:
    with opened(tmp_path) as found:
        yield found


async def add(client: httpx.AsyncClient, request: bytes) -> httpx.Response:
    return await client.post("/add-checkpoint", content=request)


async def test_a_cosignature_has_the_form_of_c2sp(client: httpx.AsyncClient) -> None:
    line = (await add(client, LOG.request(0, 5))).text
    dash, name, encoded = line.removesuffix("\n").split(" ")
    data = base64.b64decode(encoded)
    public = KEY.public_key().public_bytes_raw()
    assert (dash, name) == ("—", NAME)
    assert data[:4] == hashlib.sha256(NAME.encode() + b"\n\x04" + public).digest()[:4]
    assert struct.unpack(">Q", data[4:12]) == (NOW,)
    KEY.public_key().verify(data[12:], f"cosignature/v1\ntime {NOW}\n{LOG.checkpoint(5).text}".encode())


async def test_a_cosignature_proves_its_time(client: httpx.AsyncClient) -> None:
    lines = (await add(client, LOG.request(0, 5))).text
    assert cosigned_at(LOG.note(5) + lines, LOG.checkpoint(5).text, parse_cosigner_key(PUBLIC.text)) == NOW


def test_a_cosignature_of_another_time_or_text_is_invalid() -> None:
    line = cosign(LOG.checkpoint(5).text, NAME, KEY, NOW)
    data = bytearray(base64.b64decode(line.split(" ")[2]))
    data[11] ^= 1
    moved = f"— {NAME} {base64.b64encode(data).decode()}\n"
    for lines, text in ((moved, LOG.checkpoint(5).text), (line, LOG.checkpoint(6).text)):
        with pytest.raises(IntegrityError) as refused:
            cosigned_at(lines, text, PUBLIC)
        assert refused.value.code == "cosignature-forged"


def test_a_key_that_signs_notes_does_not_cosign() -> None:
    line = cosign(LOG.checkpoint(5).text, NAME, KEY, NOW)
    plain = NoteKey(NAME, KEY.public_key().public_bytes_raw())
    with pytest.raises(IntegrityError) as refused:
        cosigned_at(line, LOG.checkpoint(5).text, plain)
    assert refused.value.code == "not-cosigned"
    with pytest.raises(IntegrityError):
        parse_cosigner_key(plain.text)


def test_a_cosignature_is_not_a_signature_over_the_note() -> None:
    data = base64.b64decode(cosign(LOG.checkpoint(5).text, NAME, KEY, NOW).split(" ")[2])
    with pytest.raises(InvalidSignature):
        KEY.public_key().verify(data[12:], LOG.checkpoint(5).text.encode())


async def test_a_log_grows_checkpoint_by_checkpoint(client: httpx.AsyncClient) -> None:
    for old, new in ((0, 3), (3, 8), (8, 8), (8, 21)):
        assert (await add(client, LOG.request(old, new))).status_code == 200


async def test_the_next_process_knows_what_was_cosigned(tmp_path: Path) -> None:
    with opened(tmp_path) as client:
        await add(client, LOG.request(0, 8))
    with opened(tmp_path) as client:
        again = await add(client, LOG.request(0, 5))
        assert (again.status_code, again.text, again.headers["content-type"]) == (409, "8\n", "text/x.tlog.size")
        assert (await add(client, LOG.forked(3).request(8, 12))).status_code == 422
        assert (await add(client, LOG.request(8, 12))).status_code == 200


async def test_a_checkpoint_is_on_disk_before_it_is_cosigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def watched_write(path: Path, data: bytes) -> None:
        steps.append(f"wrote {data.decode().split()[1]}")

    def watched_cosign(text: str, *rest: object) -> str:
        steps.append(f"cosigned {text.split()[1]}")
        return ""

    monkeypatch.setattr(stores, "write_atomically", watched_write)
    monkeypatch.setattr("controller.witness.app.cosign", watched_cosign)
    with opened(tmp_path) as client:
        await add(client, LOG.request(0, 5))
    assert steps == ["wrote 5", "cosigned 5"]


async def test_a_checkpoint_that_cannot_be_stored_is_not_cosigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with opened(tmp_path) as client:
        await add(client, LOG.request(0, 3))
        with monkeypatch.context() as broken:
            broken.setattr(stores, "write_atomically", full)
            answer = await add(client, LOG.request(3, 5))
            assert answer.status_code == 503
            assert "—" not in answer.text
        assert (await add(client, LOG.request(3, 4))).status_code == 200


async def test_two_requests_at_once_cannot_both_extend_one_checkpoint(client: httpx.AsyncClient) -> None:
    await add(client, LOG.request(0, 4))
    answers = await asyncio.gather(add(client, LOG.request(4, 9)), add(client, LOG.request(4, 7)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_the_newest_checkpoint_can_be_read_with_a_cosignature(client: httpx.AsyncClient) -> None:
    address = f"/checkpoint/{digest_of(LOG.key.name)}"
    assert (await client.get(address)).status_code == 404
    await add(client, LOG.request(0, 5))
    shown = (await client.get(address)).text
    assert shown.startswith(LOG.note(5))
    assert cosigned_at(shown, LOG.checkpoint(5).text, PUBLIC) == NOW


async def test_a_contradiction_is_kept_as_evidence(client: httpx.AsyncClient, tmp_path: Path) -> None:
    await add(client, LOG.request(0, 5))
    fork = LOG.forked(2).request(5, 9)
    await add(client, fork)
    await add(client, fork)
    kept = [path.read_bytes() for path in (tmp_path / "evidence").iterdir()]
    assert kept == [fork]


async def test_a_body_that_is_too_long_is_refused(client: httpx.AsyncClient) -> None:
    assert (await add(client, b"old 0\n" + b"A" * (1 << 20))).status_code == 413
    assert (await add(client, body(0, (), LOG.note(1)))).status_code == 200


def certificate(directory: Path) -> Tls:
    """A self-signed certificate for loopback."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "witness")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    started = datetime.now(UTC) - timedelta(minutes=1)
    signed = (
        x509.CertificateBuilder(
            name, name, private.public_key(), x509.random_serial_number(), started, started + timedelta(hours=1)
        )
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    files = Tls(directory / "cert.pem", directory / "key.pem")
    files.certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    files.key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


async def test_it_serves_https_to_clients_that_trust_its_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls, logs = certificate(tmp_path), {LOG.key.name: LOG.key}
    store = Store(tmp_path / "w", logs)
    async with serving(create_app(Witness(NAME, KEY, logs, store, Fixed())), "127.0.0.1", 0, tls) as port:
        there = WitnessTarget("w", f"https://127.0.0.1:{port}", PUBLIC, tmp_path / "kept", LOG.owner, LOG.key, loopback=False)
        assert (await published(there, LOG, 3)).outcome is Outcome.UNREACHABLE
        monkeypatch.setattr(https, "tls_context", lambda: ssl.create_default_context(cafile=str(tls.certificate)))
        assert (await published(there, LOG, 3)).outcome is Outcome.TAKEN
    store.close()


async def test_an_invalid_certificate_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no")
    app = create_app(Witness(NAME, KEY, {}, Store(tmp_path / "w", {}), Fixed()))
    with pytest.raises(ConfigError) as refused:
        async with serving(app, "127.0.0.1", 0, Tls(tmp_path / "no.pem", tmp_path / "no.pem")):
            pass
    assert refused.value.code == "witness-tls"


def test_two_processes_cannot_use_one_directory(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(Refused) as refused:
        Store(tmp_path, {})
    assert refused.value.code == "witness-running"


@pytest.mark.parametrize("damage", [b"", b"\xff", LOG.note(5).replace("\n5\n", "\n4\n").encode(), Logbook().note(5).encode()])
async def test_a_changed_file_stops_the_start(tmp_path: Path, damage: bytes) -> None:
    with opened(tmp_path) as client:
        await add(client, LOG.request(0, 5))
    (tmp_path / f"{digest_of(LOG.key.name)}.checkpoint").write_bytes(damage)
    with pytest.raises(IntegrityError) as refused, opened(tmp_path):
        pass
    assert refused.value.code == "witness-memory"


def test_only_the_owner_can_read_the_directory(tmp_path: Path) -> None:
    with opened(tmp_path / "new"):
        assert (tmp_path / "new").stat().st_mode & 0o077 == 0


async def test_bad_proofs_of_one_checkpoint_are_one_piece_of_evidence(client: httpx.AsyncClient, tmp_path: Path) -> None:
    await add(client, LOG.request(0, 5))
    for number in range(4):
        assert (await add(client, body(5, (bytes([number]) * 32,), LOG.note(9)))).status_code == 422
    assert len(list((tmp_path / "evidence").iterdir())) == 1
    assert (await add(client, LOG.forked(2).request(5, 9))).status_code == 422
    assert len(list((tmp_path / "evidence").iterdir())) == 2


async def test_an_abandoned_request_is_stored_before_the_next_one_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, may_write = threading.Event(), threading.Event()
    write = stores.write_atomically

    def write_slowly(path: Path, data: bytes) -> None:
        started.set()
        may_write.wait(5)
        write(path, data)

    monkeypatch.setattr(stores, "write_atomically", write_slowly)
    store = Store(tmp_path, {LOG.key.name: LOG.key})
    witness = Witness(NAME, KEY, {LOG.key.name: LOG.key}, store, Fixed())
    abandoned = asyncio.create_task(witness.add(LOG.request(0, 9)))
    await asyncio.to_thread(started.wait, 5)
    abandoned.cancel()
    another = asyncio.create_task(witness.add(LOG.forked(2).request(0, 7)))
    await asyncio.sleep(0)
    may_write.set()
    assert (await another).status_code == 409
    store.close()
