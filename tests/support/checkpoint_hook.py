"""An HTTP endpoint on loopback that accepts checkpoints, or gives the answer that a test sets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from controller.serving import listen, serve
from controller.serving.acceptor import Acceptors
from controller.serving.bounds import Bounds


@dataclass
class Hook:
    """The posted notes and their ``authorization``; ``answer`` is the status of its answers, ``says`` their body."""

    url: str = ""
    notes: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    answer: int = 204
    says: str = ""

    async def take(self, request: Request) -> Response:
        body = await request.body()
        if self.answer < 300:
            self.notes.append(body.decode())
            self.tokens.append(request.headers.get("authorization", ""))
        return Response(self.says or None, self.answer, headers={"location": "/elsewhere"} if 300 <= self.answer < 400 else None)


@asynccontextmanager
async def running_hook() -> AsyncIterator[Hook]:
    """A hook on a free port."""
    hook = Hook()
    app = Starlette(routes=[Route("/hook", hook.take, methods=["POST"])])
    listener = listen("127.0.0.1", 0, "hook")
    hook.url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
    async with serve(app, listener, Acceptors().add("hook", Bounds())):
        yield hook
