"""The journal: its entries page by page, a search, one entry in full, and the hashes computed again."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response

from controller.console.inspection import FOUND_MOST
from controller.console.pages.frame import show
from controller.console.pages.query import MAX_NUMBER, address, number, words
from controller.console.port import OperatorPort
from exchange.errors import UsageError

PAGE_ROWS = 50


class JournalPages:
    """Renders them."""

    def __init__(self, port: OperatorPort) -> None:
        self._port = port

    async def many(self, request: Request) -> Response:
        """The newest entries that pass the search, a page at a time."""
        kind, text, before = words(request, "kind"), words(request, "text"), number(request, "before")
        found = await self._port.inspector.find(kind, text, before, PAGE_ROWS)
        more = found.searched_to > found.oldest
        return await show(
            self._port,
            "journal.html",
            "/journal",
            found=found,
            kind=kind,
            text=text,
            newest=address("/journal", kind=kind, text=text),
            older=address("/journal", kind=kind, text=text, before=found.searched_to) if more else "",
            paged=before is not None,
            most=FOUND_MOST,
        )

    async def one(self, request: Request) -> Response:
        """One entry with its body, and whether its hash is right."""
        seq = request.path_params["seq"]
        rows = await self._port.journal(seq - 1, 1) if 1 <= seq <= MAX_NUMBER else ()
        if not rows or rows[0].seq != seq:
            raise UsageError(f"there is no entry {seq}", code="no-such-entry", remedy="The journal page lists the entries.")
        chain = await self._port.inspector.chain(seq - 1, 1)
        body = json.dumps(rows[0].body, indent=2, ensure_ascii=False, sort_keys=True)
        return await show(self._port, "entry.html", "/journal", e=rows[0], body=body, chain=chain)
