"""Builds the OCI image into ``dist``: Debian's Python and what it needs, and gatehouse. No shell, no package manager, not root.

``make image`` runs it, as root, because mmdebstrap unpacks Debian's packages.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from ops.deb.bootstrap import bootstrap, install_tools, must
from ops.deb.tree import ROOT, TARGETS, build_tree, epoch, settle
from ops.deb.version import VERSION
from ops.image.layout import Image

DEBIAN = 12
USER = 10001
TOOLS = {"mmdebstrap": "mmdebstrap", "dpkg": "dpkg"}
PACKAGES = ("libstdc++6", "libgcc-s1", "zlib1g", "ca-certificates", "netbase")
UNUSED = (
    "etc/apt",
    "etc/dpkg",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/info",
    "var/cache",
    "var/lib/apt",
    "var/log",
)
CONFIG = {
    "User": f"{USER}:{USER}",
    "Entrypoint": ["/usr/bin/gatehouse"],
    "Cmd": ["--help"],
    "WorkingDir": "/deployment",
    "Env": ["PATH=/usr/bin", "HOME=/deployment", "GATEHOUSE_DIR=/deployment", "LANG=C.UTF-8"],
    "Volumes": {"/deployment": {}},
    "StopSignal": "SIGTERM",
    "Labels": {"org.opencontainers.image.title": "gatehouse", "org.opencontainers.image.version": VERSION},
}


def main() -> None:
    """Build the image and print its digest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    chosen = parser.parse_args()
    install_tools(TOOLS)
    chosen.out.mkdir(parents=True, exist_ok=True)
    architecture = must("dpkg", "--print-architecture").strip()
    image = Image(epoch(), {"deployment": USER})
    with tempfile.TemporaryDirectory(prefix="gatehouse-image-") as scratch:
        base, own = Path(scratch) / "base", Path(scratch) / "own"
        _build_base(base)
        image.add_layer(base)
        own.mkdir()
        build_tree(own, TARGETS[DEBIAN], architecture, Path(scratch))
        (own / "usr/bin").mkdir()
        (own / "usr/bin/gatehouse").symlink_to("../lib/gatehouse/bin/gatehouse")
        settle(own)
        image.add_layer(own)
    archive = chosen.out / f"gatehouse_{VERSION}_{architecture}.oci.tar"
    created = datetime.fromtimestamp(epoch(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"{archive} {image.write(archive, f'gatehouse:{VERSION}', created, architecture, CONFIG)}")


def _build_base(root: Path) -> None:
    """Debian's files that Python needs. They are only unpacked: no script of a package runs, and none is needed."""
    bootstrap(root, DEBIAN, [f"python{TARGETS[DEBIAN].python}", *PACKAGES], variant="extract", epoch=epoch())
    for unused in UNUSED:
        shutil.rmtree(root / unused, ignore_errors=True)
    for cache in sorted(root.rglob("__pycache__")):
        shutil.rmtree(cache)
    for special in ("dev", "proc", "sys", "run", "tmp"):
        shutil.rmtree(root / special, ignore_errors=True)
        (root / special).mkdir()
    _write_certificates(root)
    (root / "etc/passwd").write_text(f"root:x:0:0::/:/none\ngatehouse:x:{USER}:{USER}::/deployment:/none\n", encoding="ascii")
    (root / "etc/group").write_text(f"root:x:0:\ngatehouse:x:{USER}:\n", encoding="ascii")
    (root / "deployment").mkdir(mode=0o700)


def _write_certificates(root: Path) -> None:
    """The one file that ca-certificates makes in its script."""
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    bundle.write_bytes(b"".join(one.read_bytes() for one in certificates))


if __name__ == "__main__":
    main()
