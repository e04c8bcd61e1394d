"""An OCI image: what a reader of the format finds, and that the same files give the same digest."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from ops.image.layout import Image

CREATED = "2026-01-01T00:00:00Z"


def files(root: Path) -> Path:
    (root / "deployment").mkdir(parents=True)
    (root / "usr").mkdir()
    (root / "usr/program").write_text("#!/usr/bin/python\n")
    (root / "usr/program").chmod(0o755)
    (root / "usr/link").symlink_to("program")
    return root


def written(archive: Path, root: Path) -> str:
    image = Image(1_700_000_000, {"deployment": 10001})
    image.add_layer(root)
    return image.write(archive, "gatehouse:test", CREATED, "amd64", {"User": "10001:10001", "Entrypoint": ["/usr/program"]})


def content(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as packed:
        found = packed.extractfile(name)
        assert found is not None
        return found.read()


def blob(archive: Path, pointer: dict[str, Any]) -> bytes:
    data = content(archive, f"blobs/sha256/{pointer['digest'].removeprefix('sha256:')}")
    assert (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}") == (pointer["size"], pointer["digest"])
    return data


def test_the_same_files_give_the_same_digest(tmp_path: Path) -> None:
    one, other = files(tmp_path / "one"), files(tmp_path / "other")
    os.utime(other / "usr/program", (1, 1))
    digests = {written(tmp_path / f"{root.name}.tar", root) for root in (one, other)}
    assert len(digests) == 1
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "other.tar").read_bytes()


def test_every_blob_is_named_by_its_digest(tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    digest = written(archive, files(tmp_path / "root"))
    pointer = json.loads(content(archive, "index.json"))["manifests"][0]
    assert pointer["digest"] == digest
    manifest = json.loads(blob(archive, pointer))
    config = json.loads(blob(archive, manifest["config"]))
    layer = gzip.decompress(blob(archive, manifest["layers"][0]))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["User"] == "10001:10001"


def test_only_the_deployment_belongs_to_its_user(tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    written(archive, files(tmp_path / "root"))
    manifest = json.loads(blob(archive, json.loads(content(archive, "index.json"))["manifests"][0]))
    (tmp_path / "layer.tar").write_bytes(gzip.decompress(blob(archive, manifest["layers"][0])))
    with tarfile.open(tmp_path / "layer.tar") as layer:
        owners = {entry.name: (entry.uid, entry.gid) for entry in layer}
    assert owners == {"deployment": (10001, 10001), "usr": (0, 0), "usr/link": (0, 0), "usr/program": (0, 0)}
