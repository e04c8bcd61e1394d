"""A private world for one command: own network, mounts and processes, in which MEXC's and the ECB's names are this machine.

The names are in a hosts file of its own, and the stand-ins' certificate is of a CA that only this world trusts. Three files of the
product are covered by copies in which only times are shorter, and what only days can prove is not required. It needs root,
``unshare`` and ``ip``.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).parents[3]
NAMES = ("api.mexc.com", "wbs-api.mexc.com")
MEXC, ECB = "127.0.0.1", "127.0.0.2"
BANK = "www.ecb.europa.eu"
HOSTS = f"127.0.0.1 localhost\n{ECB} {BANK}\n"
RESOLVED = HOSTS + f"{MEXC} {' '.join(NAMES)}\n"
UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

COVERED = "(MetricName.COVERED_MS, Op.AT_LEAST, "
SHORTER: Mapping[str, Sequence[tuple[str, str]]] = {
    "policies/floors.py": (
        ("VALIDATION_COVERED_MS = 3 * _DAY_MS", "VALIDATION_COVERED_MS = 20_000"),
        (
            '        "600000",\n        "people need ten minutes to veto"',
            '        "3000",\n        "people need ten minutes to veto"',
        ),
        (f'{COVERED}"600000")', f'{COVERED}"10000")'),
        (f'{COVERED}"60000")', f'{COVERED}"5000")'),
        # What days of trading prove: rotations, drills inside the run, performance, and the judgement of the real venue.
        ("(*DRILL_RULES, *VALIDATION_RULES, *LIVE_RULES, *(REPLAY_RULES if offered else ()))", "DRILL_RULES"),
    ),
    "controller/runtime/venues/rates.py": (("RateSource.ECB: 1800", "RateSource.ECB: 10"), ("RETRY_S = 60", "RETRY_S = 5")),
    "exchange/mexc/socket.py": (
        ("renew_every: int = 30 * 60_000", "renew_every: int = 30_000"),
        ("rotate_every: int = 23 * 3_600_000", "rotate_every: int = 60_000"),
    ),
}
"""What the covering copies change: text of the product, and the text of the copy. Times are shorter, and what only days prove is
not required."""


def why_not() -> str:
    """Why this machine cannot make such a world; empty when it can."""
    if os.geteuid() != 0:
        return "private namespaces need root"
    if missing := [name for name in ("unshare", "ip", "mount") if shutil.which(name) is None]:
        return f"{' and '.join(missing)} not installed"
    tried = subprocess.run(
        (*UNSHARE, "sh", "-c", "mount --bind /etc/hosts /etc/hosts"), capture_output=True, text=True, check=False
    )
    return "" if tried.returncode == 0 else f"no private namespaces here: {tried.stderr.strip()}"


@dataclass(frozen=True, slots=True)
class Product:
    """The gatehouse of a world: the Python that has it, the folder of its packages, and the authorities that it trusts."""

    python: str
    packages: Path
    authorities: Path


CHECKOUT = Product(sys.executable, ROOT, Path(certifi.where()))


def enter(directory: Path, arguments: Sequence[str], product: Product = CHECKOUT, before: Sequence[str] = ()) -> list[str]:
    """Write the world's files into ``directory``. Returns the command that runs this Python with ``arguments`` in it.

    ``product`` is what gets the shorter times and the CA; ``before`` are lines of shell that run in the world first.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "hosts").write_text(RESOLVED)
    (directory / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    Authority("the rehearsal's CA").write(directory)
    covers = {directory / "hosts": Path("/etc/hosts"), directory / "resolv.conf": Path("/etc/resolv.conf")}
    covers[directory / "ca.pem"] = product.authorities
    for name, changes in SHORTER.items():
        copy, covered = directory / name.replace("/", "-"), product.packages / name
        copy.write_text(shortened(covered.read_text(), changes))
        covers[copy] = covered
        # What Python compiles of the copies stays in this world; what it compiled of their neighbours is still good.
        compiled, compiled_here = covered.with_name("__pycache__"), copy.with_suffix(".compiled")
        compiled.mkdir(exist_ok=True)
        shutil.copytree(compiled, compiled_here, ignore=shutil.ignore_patterns(f"{covered.stem}.*"))
        covers[compiled_here] = compiled
    bound = [f"mount --bind '{copy}' '{covered}'" for copy, covered in covers.items()]
    script = directory / "enter.sh"
    # The shell stays: as the first process of the namespace it has to collect those whose parents are gone.
    script.write_text("\n".join(["set -e", "ip link set lo up", *before, *bound, "set +e", '"$@"', "exit $?"]) + "\n")
    return [*UNSHARE, "sh", str(script), sys.executable, *arguments]


def shortened(text: str, changes: Sequence[tuple[str, str]]) -> str:
    """The text with every change made. Each must find its place."""
    for old, new in changes:
        assert old in text, f"the product has no longer {old!r}"
        text = text.replace(old, new)
    return text


def environment(directory: Path) -> dict[str, str]:
    """The variables of every process in the world, with its CA."""
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(ROOT),
        "SSL_CERT_FILE": str(directory / "ca.pem"),
        "XDG_STATE_HOME": str(directory / "state"),
    }


def server_context(directory: Path, certificate: str = "server.pem") -> ssl.SSLContext:
    """The TLS of MEXC's stand-in, with a certificate of the world's folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / certificate)
    return context


class Authority:
    """A CA. ``issue`` makes certificates for names."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._identity = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())

    def write(self, directory: Path) -> None:
        """Its certificate into ``ca.pem``, the venue's and the ECB's into ``server.pem``, one of neither into ``elsewhere.pem``."""
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        root = self._builder(self._name, self._key.public_key())
        root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        root = root.add_extension(usage, critical=True).add_extension(self._identity, critical=False)
        (directory / "ca.pem").write_bytes(root.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        self.issue(directory / "server.pem", (*NAMES, BANK))
        self.issue(directory / "elsewhere.pem", ("elsewhere.example",))

    def issue(self, path: Path, names: Sequence[str]) -> None:
        """A private key and its certificate for these names, in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        leaf = self._builder(subject, key.public_key()).add_extension(alternatives, critical=False)
        leaf = leaf.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identity), critical=False)
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.touch(0o600)
        path.write_bytes(private + leaf.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(public)
        made = made.serial_number(x509.random_serial_number())
        return made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=8))
