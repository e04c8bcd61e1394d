"""The gateway's refusal that says when to send again; ``gateway.app`` turns it into ``Retry-After``."""

from __future__ import annotations

from exchange.wire.errors import ErrorCode, WireError, WireRefusal


class Throttled(WireRefusal):
    """HTTP 429 with ``Retry-After``: the request was not processed, or its rule allows it after waiting."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(WireError.of(ErrorCode.TOO_MANY_REQUESTS, message))
        self.retry_after_s = max(1, retry_after_s)
