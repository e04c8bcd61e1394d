"""A release has the same bytes twice, and an installation of which a byte was changed is found, with the file's name."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.cli.version.manifest import TEST_KEY, check_installation
from controller.journal.note import NoteKey, note_key
from exchange.errors import ConfigError, IntegrityError
from ops.audit.lock import read_lock
from ops.release.__main__ import changes_of, twice
from ops.release.keys import signing_key
from ops.release.sbom import sbom
from ops.release.wheel import _normal, signed_wheel

INFO = "gatehouse-1.2.dist-info"
FILES = {
    "controller/__init__.py": b'"""x"""\n',
    "controller/core/decide.py": b"LIMIT = 10\n",
    f"{INFO}/METADATA": b"Metadata-Version: 2.4\nName: gatehouse\nVersion: 1.2\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\n",
    f"{INFO}/RECORD": b"",
}
KEY = NoteKey.parse(TEST_KEY)


def plain_wheel() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in FILES.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 11, 1, 0, 0, 0)), data)
    return out.getvalue()


def installed(directory: Path) -> metadata.Distribution:
    """The signed wheel as pip lays it out."""
    with zipfile.ZipFile(io.BytesIO(signed_wheel(plain_wheel(), *signing_key(None)))) as archive:
        archive.extractall(directory)
    (directory / INFO / "INSTALLER").write_text("pip\n")
    (directory / "controller" / "__pycache__").mkdir()
    (directory / "controller" / "__pycache__" / "a.pyc").write_bytes(b"x")
    return metadata.Distribution.at(directory / INFO)


def test_the_public_half_in_the_code_is_that_of_the_test_key() -> None:
    assert note_key(*signing_key(None)).text == TEST_KEY


def test_an_installation_as_it_was_signed_is_accepted(tmp_path: Path) -> None:
    found = check_installation(KEY, installed(tmp_path))
    assert (found.wrong, found.files, found.version) == ((), 4, "1.2")


def test_one_flipped_byte_is_found_and_its_file_named(tmp_path: Path) -> None:
    package = installed(tmp_path)
    file = tmp_path / "controller" / "core" / "decide.py"
    data = bytearray(file.read_bytes())
    data[3] ^= 1
    file.write_bytes(data)
    (line,) = check_installation(KEY, package).wrong
    assert line.startswith("controller/core/decide.py was changed")


def test_a_missing_and_an_added_file_are_found(tmp_path: Path) -> None:
    package = installed(tmp_path)
    (tmp_path / "controller" / "core" / "decide.py").unlink()
    (tmp_path / "controller" / "core" / "added.py").write_text("import os\n")
    added, missing = check_installation(KEY, package).wrong
    assert added.startswith("controller/core/added.py was added")
    assert missing.startswith("controller/core/decide.py cannot be read")


def test_a_manifest_that_fits_changed_files_is_not_signed(tmp_path: Path) -> None:
    package = installed(tmp_path)
    listed = tmp_path / INFO / "MANIFEST"
    listed.write_text(listed.read_text().replace("a", "b", 1))
    with pytest.raises(IntegrityError) as refused:
        check_installation(KEY, package)
    assert refused.value.code == "manifest-changed"


def test_a_manifest_of_another_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as refused:
        check_installation(note_key("other", Ed25519PrivateKey.generate()), installed(tmp_path))
    assert refused.value.code == "note-not-signed"


def test_a_wheel_without_a_manifest_is_not_called_good(tmp_path: Path) -> None:
    package = installed(tmp_path)
    (tmp_path / INFO / "MANIFEST").unlink()
    with pytest.raises(ConfigError) as refused:
        check_installation(KEY, package)
    assert refused.value.code == "no-manifest"


def test_signing_a_wheel_twice_gives_the_same_bytes() -> None:
    one, two = (signed_wheel(plain_wheel(), *signing_key(None)) for _ in range(2))
    assert twice("wheel", one, two) == one
    with pytest.raises(SystemExit, match="two builds of wheel differ"):
        twice("wheel", one, two + b"x")


def packed(names: list[str], at: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname = 1, at, str(at)
            archive.addfile(info, io.BytesIO(b"x"))
    return out.getvalue()


def test_an_sdist_has_no_time_order_or_owner_of_its_build() -> None:
    one, two = _normal(packed(["a", "b"], 5), 100), _normal(packed(["b", "a"], 9), 100)
    assert one == two
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(one))) as archive:
        assert [(member.name, member.mtime, member.uname) for member in archive] == [("a", 100, ""), ("b", 100, "")]


LOCK = f"""\
httpx==0.28.1 \\
    --hash=sha256:{"a" * 64}
    # via gatehouse (pyproject.toml)
idna==3.18 ; sys_platform == 'linux' \\
    --hash=sha256:{"b" * 64}
    # via
    #   httpx
"""


def test_the_bill_of_materials_has_each_package_and_what_wants_it(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text(LOCK)
    lock = read_lock(tmp_path / "a.lock")
    document = json.loads(sbom("1.2", lock, LOCK, 1_700_000_000))
    assert sbom("1.2", lock, LOCK, 1_700_000_000) == sbom("1.2", lock, LOCK, 1_700_000_000)
    assert [one["purl"] for one in document["components"]] == ["pkg:pypi/httpx@0.28.1", "pkg:pypi/idna@3.18"]
    needs = {one["ref"]: one["dependsOn"] for one in document["dependencies"]}
    assert needs["pkg:pypi/gatehouse@1.2"] == ["pkg:pypi/httpx@0.28.1"]
    assert needs["pkg:pypi/httpx@0.28.1"] == ["pkg:pypi/idna@3.18"]


CHANGES = "# Changelog\n\n## 1.3 (unreleased)\n\n- new\n\n## 1.2 (2026-11-01)\n\n- old\n"


def test_the_section_of_a_version_is_its_own() -> None:
    assert changes_of(CHANGES, "1.2", test=False) == "# gatehouse 1.2 (2026-11-01)\n\n- old\n"
    assert changes_of(CHANGES, "1.3", test=True).endswith("- new\n")


@pytest.mark.parametrize("version", ["1.3", "9.9"])
def test_a_version_without_a_dated_section_is_not_signed_for(version: str) -> None:
    with pytest.raises(SystemExit, match=r"CHANGELOG\.md"):
        changes_of(CHANGES, version, test=False)
