"""A webhook as a checkpoint target: each note is posted unchanged, for example to a chat, a mail gateway or another log.

``bootstrap`` creates it.
"""

from __future__ import annotations

from controller.journal.checkpoint import Checkpoint
from controller.journal.publishing import Offer
from controller.journal.targets import https


class WebhookTarget:
    """Implements ``CheckpointTarget``. It cannot be read, so it is evidence for people and proves nothing to a start."""

    def __init__(self, name: str, url: str, token: str, *, loopback: bool) -> None:
        self._name = name
        self._url = https.checked_url(url, loopback=loopback)
        self._headers = {"content-type": "text/plain; charset=utf-8"}
        if token:
            self._headers["authorization"] = https.bearer(token)

    @property
    def name(self) -> str:
        """The name from the settings, because the address may contain a token."""
        return f"webhook {self._name}"

    async def read(self) -> Checkpoint | None:
        """Nothing: it can only be written."""
        return None

    async def publish(self, offer: Offer) -> None:
        """See ``CheckpointTarget.publish``. Any 2xx answer means accepted."""
        answer = await https.send("POST", self._url, headers=self._headers, body=offer.note.encode())
        if not 200 <= answer.status < 300:
            raise https.refused(answer, quoted=False)
