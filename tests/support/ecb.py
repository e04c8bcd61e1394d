"""The ECB's daily file in its published form, and a server on loopback that serves one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

DAY = "2026-09-11"
CUBES = """\t\t\t<Cube currency='USD' rate='{rate}'/>
\t\t\t<Cube currency='CZK' rate='24.264'/>
\t\t\t<Cube currency='DKK' rate='7.4748'/>
\t\t\t<Cube currency='PLN' rate='4.3250'/>
\t\t\t<Cube currency='SEK' rate='11.2373'/>
\t\t\t<Cube currency='NOK' rate='10.7805'/>
"""


def file_of(*, rate: str = "1.1592", day: str = DAY, cubes: str = CUBES, doctype: str = "") -> bytes:
    """A file with this rate of the dollar on this day."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>{doctype}
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
\t<gesmes:subject>Reference rates</gesmes:subject>
\t<gesmes:Sender>
\t\t<gesmes:name>European Central Bank</gesmes:name>
\t</gesmes:Sender>
\t<Cube>
\t\t<Cube time='{day}'>
{cubes.format(rate=rate)}\t\t</Cube>
\t</Cube>
</gesmes:Envelope>""".encode()


@dataclass
class RateServer:
    """What the server answers next. ``address`` is where it listens."""

    address: str = ""
    status: str = "200 OK"
    headers: str = ""
    body: bytes = field(default_factory=file_of)
    asked: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        head = f"HTTP/1.1 {self.status}\r\n{self.headers}content-length: {len(self.body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + self.body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def rate_server(served: RateServer | None = None) -> AsyncIterator[RateServer]:
    """A server of the file on loopback."""
    rates = served or RateServer()
    server = await asyncio.start_server(rates.answer, "127.0.0.1", 0)
    rates.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/eurofxref-daily.xml"
    try:
        yield rates
    finally:
        server.close()
        await server.wait_closed()
