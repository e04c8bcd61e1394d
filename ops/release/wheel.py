"""Signs a wheel, and writes an sdist, so that two builds of one commit have the same bytes. ``__main__`` calls it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.cli.version.manifest import LIST, NOTE, UNSIGNED, list_text, note_text
from controller.journal.note import sign_note


def signed_wheel(wheel: bytes, name: str, key: Ed25519PrivateKey) -> bytes:
    """The wheel with a manifest of its files, signed under ``name``, in its dist-info folder and its RECORD."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        infos = archive.infolist()
        files = {info.filename: archive.read(info) for info in infos}
    (record,) = [path for path in files if path.endswith(".dist-info/RECORD")]
    folder = record.rpartition("/")[0]
    version = folder.removesuffix(".dist-info").rpartition("-")[2]
    unsigned = {f"{folder}/{one}" for one in UNSIGNED}
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in files.items() if path not in unsigned}
    listed = list_text(digests)
    files[f"{folder}/{LIST}"] = listed.encode()
    files[f"{folder}/{NOTE}"] = sign_note(note_text(version, listed), name, key).encode()
    lines = [f"{path},{_recorded(data)}" for path, data in sorted(files.items()) if path != record]
    files[record] = "".join(f"{line}\n" for line in (*lines, f"{record},,")).encode()
    return _zipped(files, record, infos[0].date_time)


def _recorded(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"sha256={digest},{len(data)}"


def _zipped(files: dict[str, bytes], last: str, at: tuple[int, int, int, int, int, int]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in (*sorted(set(files) - {last}), last):
            info = zipfile.ZipInfo(path, at)
            info.compress_type, info.external_attr, info.create_system = zipfile.ZIP_DEFLATED, 0o100644 << 16, 3
            archive.writestr(info, files[path])
    return out.getvalue()


def sdist(root: Path, commit: str, work: Path, at: int) -> tuple[str, bytes]:
    """The name and the bytes of the source archive of a commit, built from what git has, not from the work tree."""
    source = work / "source"
    source.mkdir(parents=True)
    packed = subprocess.run(["git", "-C", root, "archive", "--format=tar", commit], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(source, filter="data")
    build = "import sys; from setuptools import build_meta; sys.stderr.write(build_meta.build_sdist(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", build, work / "out"], cwd=source, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the sdist was not built: {done.stderr.strip().splitlines()[-1]}")
    (built,) = (work / "out").iterdir()
    return built.name, _normal(built.read_bytes(), at)


def _normal(data: bytes, at: int) -> bytes:
    """The archive with its members in order, of one time and of no owner."""
    plain, out = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as built, tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as kept:
        for member in sorted(built.getmembers(), key=lambda one: one.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname, member.pax_headers = at, 0, 0, "", "", {}
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            kept.addfile(member, built.extractfile(member) if member.isfile() else None)
    with gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=at) as packed:
        packed.write(plain.getvalue())
    return out.getvalue()


def stamp(at: int) -> str:
    """An instant in seconds as UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
