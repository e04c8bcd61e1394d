"""Writes an OCI image as an archive: layers, configuration, manifest and index (OCI Image Format 1.1). ``make image`` uses it.

Every byte follows from the files and the time that is passed in, so two images of the same files have the same digest.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


class Image:
    """An image in the making. ``owners`` maps a folder to the number of the user that owns it; root owns the rest."""

    def __init__(self, epoch: int, owners: Mapping[str, int]) -> None:
        self._epoch = epoch
        self._owners = owners
        self._blobs: dict[str, bytes] = {}
        self._layers: list[dict[str, Any]] = []
        self._plain: list[str] = []

    def add_layer(self, root: Path) -> None:
        """Everything below ``root`` as one layer."""
        plain = self._packed(root)
        self._plain.append(f"sha256:{hashlib.sha256(plain).hexdigest()}")
        self._layers.append(self._blob(_LAYER, gzip.compress(plain, 6, mtime=0)))

    def write(self, archive: Path, name: str, created: str, architecture: str, config: Mapping[str, Any]) -> str:
        """Write the archive, and return the digest of the manifest."""
        document = {
            "created": created,
            "architecture": architecture,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": self._plain},
            "history": [{"created": created, "created_by": "make image"} for _ in self._plain],
        }
        described = self._blob(_CONFIG, _json(document))
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": described, "layers": self._layers}
        pointed = self._blob(_MANIFEST, _json(manifest)) | {"annotations": {"org.opencontainers.image.ref.name": name}}
        files = {f"blobs/sha256/{digest}": data for digest, data in self._blobs.items()}
        files["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
        files["index.json"] = _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [pointed]})
        with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as packed:
            for path in sorted(files):
                entry = tarfile.TarInfo(path)
                entry.size, entry.mtime, entry.mode = len(files[path]), self._epoch, 0o644
                packed.addfile(entry, io.BytesIO(files[path]))
        return str(pointed["digest"])

    def _packed(self, root: Path) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as packed:
            for path in sorted(root.rglob("*")):
                name = str(path.relative_to(root))
                entry = packed.gettarinfo(path, name)
                entry.uid = entry.gid = self._owners.get(name, 0)
                entry.uname = entry.gname = ""
                entry.mtime, entry.pax_headers = self._epoch, {}
                if entry.isreg():
                    with path.open("rb") as file:
                        packed.addfile(entry, file)
                else:
                    packed.addfile(entry)
        return buffer.getvalue()

    def _blob(self, kind: str, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        self._blobs[digest] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}


def _json(document: Mapping[str, Any] | Sequence[Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
