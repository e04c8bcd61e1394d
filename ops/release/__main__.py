"""``make release``: builds twice, compares, writes dist/release/VERSION with signed sums. Without ``--key`` the test key signs."""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from controller.core.event_codec import KINDS
from controller.journal.note import note_key, sign_note
from ops.audit.lock import read_lock
from ops.deb.locked import runtime_lock
from ops.deb.tree import epoch, own_wheel
from ops.release.keys import TEST_NAME, signing_key
from ops.release.sbom import judge, sbom
from ops.release.wheel import sdist, signed_wheel

ROOT = Path(__file__).resolve().parents[2]
JUDGE = ROOT / "var" / "audit" / "venv" / "bin" / "python"


def changes_of(changelog: str, version: str, *, test: bool) -> str:
    """The section of a version. A version that is called unreleased is only for the test key. Raises ``SystemExit``."""
    found = re.search(rf"^## {re.escape(version)}\b(.*)\n((?:(?!^## ).*\n)*)", changelog, re.MULTILINE)
    if found is None or not found[2].strip():
        raise SystemExit(f"CHANGELOG.md has no section for {version}")
    if "unreleased" in found[1] and not test:
        raise SystemExit(f"CHANGELOG.md calls {version} unreleased: write its date there before you sign it with a release key")
    return f"# gatehouse {version}{found[1]}\n{found[2]}".rstrip() + "\n"


def require_kept(version: str) -> None:
    """Refuse to release without the journal that later versions have to read. Raises ``SystemExit``."""
    kept = ROOT / "tests" / "fixtures" / "journals" / version / "events.jsonl"
    text = kept.read_text(encoding="utf-8") if kept.is_file() else ""
    if missing := [kind for kind in KINDS if f'"kind": "{kind}"' not in text]:
        raise SystemExit(f"{kept.relative_to(ROOT)} lacks {', '.join(missing[:5])}: run `python -m tests.support.kept_journals`")


def twice(what: str, first: bytes, second: bytes) -> bytes:
    """The bytes, if both builds have the same. Raises ``SystemExit``."""
    if first != second:
        digests = " and ".join(hashlib.sha256(one).hexdigest()[:16] for one in (first, second))
        raise SystemExit(f"two builds of {what} differ: {digests}")
    return first


def build(commit: str, key: Path | None, work: Path) -> dict[str, bytes]:
    """The wheel and the sdist by name, each built twice."""
    name, private = signing_key(key)
    wheels = [own_wheel(work / side) for side in ("a", "b")]
    one, two = (signed_wheel(wheel.read_bytes(), name, private) for wheel in wheels)
    sources = [sdist(ROOT, commit, work / side / "sdist", epoch()) for side in ("a", "b")]
    return {
        wheels[0].name: twice(wheels[0].name, one, two),
        sources[0][0]: twice(sources[0][0], sources[0][1], sources[1][1]),
    }


def main() -> None:
    """Build and write one release."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key", type=Path, help="the release's private key; without it the test key signs")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "release")
    chosen = parser.parse_args()
    if changed := _git("status", "--porcelain"):
        raise SystemExit(f"the work tree is not what was committed: {', '.join(changed.split()[1::2][:5])}")
    commit = _git("rev-parse", "HEAD")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    changes = changes_of((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version, test=chosen.key is None)
    require_kept(version)
    with tempfile.TemporaryDirectory(prefix="gatehouse-release-") as scratch:
        work = Path(scratch)
        for side in ("a", "b"):
            (work / side).mkdir()
        files = build(commit, chosen.key, work)
        lock = work / "runtime.lock"
        lock.write_text(runtime_lock(ROOT), encoding="utf-8")
        text = lock.read_text(encoding="utf-8")
        document = sbom(version, read_lock(lock), text, epoch())
    judge(document, JUDGE)
    files |= {f"gatehouse-{version}.cdx.json": document.encode(), "CHANGES.md": changes.encode()}
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    name, private = signing_key(chosen.key)
    files |= {"SHA256SUMS": sums.encode(), "SHA256SUMS.note": sign_note(sums, name, private).encode()}
    out = chosen.out / version
    out.mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        (out / path).write_bytes(data)
        print(f"{hashlib.sha256(data).hexdigest()}  {out / path}")
    test = "  (the TEST key: it proves nothing about who built this)" if name == TEST_NAME else ""
    print(f"commit {commit}, built twice to equal bytes, signed with {note_key(name, private).text}{test}")


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", ROOT, *words], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
