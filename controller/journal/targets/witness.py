"""A witness (C2SP tlog-witness) as a target: it cosigns a checkpoint only with proof that it extends all earlier ones.

``bootstrap`` creates it. The cosigned note is kept beside the journal: with the witness's key it proves what the witness saw, and
when.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from controller.journal.checkpoint import Checkpoint, decode_checkpoint, origin_of
from controller.journal.cosignature import cosigned_at
from controller.journal.files import write_atomically
from controller.journal.note import MAX_NOTE_BYTES, NoteKey
from controller.journal.publishing import Offer, contradiction
from controller.journal.targets import https
from exchange.errors import IntegrityError, Refused

_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")
_ATTEMPTS = 3


def newest_path(origin: str) -> str:
    """The path where a ``gatehouse witness`` serves the newest cosigned checkpoint of a log; C2SP defines no path for it."""
    return f"/checkpoint/{hashlib.sha256(origin.encode()).hexdigest()}"


class WitnessTarget:
    """Implements ``CheckpointTarget``. ``kept`` is the file of the last cosigned note, used if the witness serves no checkpoint."""

    def __init__(
        self, name: str, url: str, witness: NoteKey, kept: Path, controller_id: str, key: NoteKey, *, loopback: bool
    ) -> None:
        self._name, self._witness, self._kept, self._key = name, witness, kept, key
        self._url = https.checked_url(url, loopback=loopback)
        self._origin = origin_of(controller_id)

    @property
    def name(self) -> str:
        """The name from the settings."""
        return f"witness {self._name}"

    async def read(self) -> Checkpoint | None:
        """See ``CheckpointTarget.read``. The larger of the checkpoint it serves and the kept one."""
        answer = await https.send("GET", f"{self._url}{newest_path(self._origin)}")
        shown = self._verified(answer.body) if answer.status == 200 else None
        kept = self._read_kept()
        if shown is not None and kept is not None and shown.size < kept.size:
            raise self._lost_data(shown.size, kept.size)
        return shown or kept

    async def publish(self, offer: Offer) -> None:
        """See ``CheckpointTarget.publish``. Keeps the note with the cosignature once the cosignature is verified."""
        held = await self._held_size()
        for _ in range(_ATTEMPTS):
            proof = await offer.prove(held) if held else ()
            lines = "".join(f"{base64.b64encode(node).decode()}\n" for node in proof)
            body = f"old {held}\n{lines}\n{offer.note}".encode()
            answer = await https.send("POST", f"{self._url}/add-checkpoint", body=body)
            if answer.status == 200:
                self._keep(offer, answer.body)
                return
            answered = _SIZE.fullmatch(answer.body) if answer.status == 409 else None
            if answered is None:
                break
            size = int(answered[1])
            if size < held:
                raise self._lost_data(size, held)
            if size > offer.checkpoint.size:
                raise contradiction(f"it knows {size} entries and was offered {offer.checkpoint.size}")
            if size == held:
                raise contradiction(f"its {size} entries are not those of the journal")
            held = size
        if answer.status == 422:
            raise contradiction(f"its first {held} entries are not those of the journal")
        raise https.refused(answer)

    async def _held_size(self) -> int:
        held = await self.read()
        return held.size if held is not None else 0

    def _keep(self, offer: Offer, lines: bytes) -> None:
        text = lines.decode(errors="replace")
        cosigned_at(text, offer.checkpoint.text, self._witness)
        ours = "".join(f"{line}\n" for line in text.split("\n") if line.startswith(f"— {self._witness.name} "))
        try:
            self._kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._kept, (offer.note + ours).encode())
        except OSError as error:
            raise Refused(
                f"{self._kept} cannot be written: {error.strerror}",
                code="cosignature-not-kept",
                remedy="Make the directory writable for the controller's user.",
            ) from error

    def _lost_data(self, size: int, before: int) -> IntegrityError:
        return IntegrityError(
            f"it knows {size} entries and has cosigned {before} before, so it lost its data",
            code="target-rewritten",
            remedy=f"Find out why the witness lost its data, and only then remove {self._kept}.",
        )

    def _verified(self, note: bytes) -> Checkpoint:
        found = decode_checkpoint(note, self._key)
        cosigned_at(note.decode(), found.text, self._witness)
        return found

    def _read_kept(self) -> Checkpoint | None:
        try:
            with self._kept.open("rb") as file:
                return self._verified(file.read(MAX_NOTE_BYTES + 1))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise IntegrityError(
                f"{self._kept} cannot be read: {error.strerror}",
                code="checkpoint-malformed",
                remedy="Make the file readable for the controller's user.",
            ) from error
