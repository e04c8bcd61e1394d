"""MEXC's errors: codes, reply bodies, and what each proves (mexc-spot-v3.md §1.2, §1.3, §1.6). Clients and venues call it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, StrEnum

from exchange.errors import GatehouseError, VenueError


class ErrorCode(IntEnum):
    """The codes a spot client can receive (mexc-spot-v3.md §1.6). MEXC answers HTTP 400 unless ``http_status`` says otherwise."""

    UNKNOWN_ORDER = -2011
    NO_SUCH_ORDER = -2013
    BAD_SYMBOL = -1121
    BAD_COMBINATION = -1128
    OPERATION_NOT_ALLOWED = 26
    API_KEY_REQUIRED = 400
    NO_AUTHORITY = 401
    API_KEY_EXPIRED = 402
    ACCESS_DENIED = 403
    IP_NOT_ALLOWED = 406
    IP_BANNED = 418
    TOO_MANY_REQUESTS = 429
    INTERNAL_ERROR = 500
    SYSTEM_BUSY = 501
    SERVICE_UNAVAILABLE = 503
    GATEWAY_TIMEOUT = 504
    TOO_FREQUENT = 510
    SIGNATURE_FAILED = 602
    MAINTENANCE = 604
    SYSTEM_MAINTENANCE = 801
    USER_DOES_NOT_EXIST = 10001
    SYMBOL_NOT_SUPPORT_API = 10007
    USER_ID_NULL = 10015
    BAD_ACCESS_KEY = 10072
    BAD_REQUEST_TIME = 10073
    AMOUNT_NULL = 10095
    AMOUNT_SCALE = 10096
    AMOUNT_WRONG = 10097
    RISK_CONTROL = 10098
    INSUFFICIENT_BALANCE = 10101
    AMOUNT_NOT_POSITIVE = 10102
    TRANSFER_DISABLED = 10206
    WITHDRAWAL_ADDRESS_UNKNOWN = 10212
    FEATURE_UNAVAILABLE = 11444
    SUBSYSTEM_UNSUPPORTED = 20001
    SUBSYSTEM_ERROR = 20002
    NO_SUCH_RECORD = 22222
    TRADING_SUSPENDED = 30000
    SIDE_NOT_ALLOWED = 30001
    BELOW_MINIMUM = 30002
    ABOVE_MAXIMUM = 30003
    INSUFFICIENT_POSITION = 30004
    OVERSOLD = 30005
    NO_VALID_PRICE = 30010
    INVALID_SYMBOL = 30014
    TRADING_DISABLED = 30016
    MARKET_ORDER_DISABLED = 30018
    API_MARKET_ORDER_DISABLED = 30019
    NO_PERMISSION_FOR_SYMBOL = 30020
    INVALID_SYMBOL_2 = 30021
    NO_OPPOSING_ORDER = 30025
    INVALID_ORDER_IDS = 30026
    BUYING_SUSPENDED = 30027
    SELLING_SUSPENDED = 30028
    TOO_MANY_OPEN_ORDERS = 30029
    MAX_POSITION = 30032
    TYPE_NOT_ALLOWED = 30041
    API_MARKET_ORDER_DISABLED_2 = 30051
    PRICE_OUT_OF_RANGE = 30087
    BAD_PARAMETER = 33333
    PARAMETER_NULL = 44444
    ACCOUNT_ABNORMAL = 60005
    PAIR_BANNED = 70011
    BELOW_MINIMUM_VALUE = 88013
    INSUFFICIENT_POSITION_2 = 88015
    SUB_ACCOUNT_MISSING = 140001
    SUB_ACCOUNT_FORBIDDEN = 140002
    BAD_API_KEY = 700001
    BAD_SIGNATURE = 700002
    OUTSIDE_RECV_WINDOW = 700003
    MISSING_PARAMETER = 700004
    RECV_WINDOW_TOO_LARGE = 700005
    IP_NOT_WHITELISTED = 700006
    NO_PERMISSION = 700007
    ILLEGAL_CHARACTERS = 700008
    BAD_CONTENT_TYPE = 700013

    @property
    def http_status(self) -> int:
        """The HTTP status MEXC sends the code with."""
        return _STATUS_OF.get(self, 400)


_STATUS_OF = {
    ErrorCode.NO_AUTHORITY: 401,
    ErrorCode.ACCESS_DENIED: 403,
    ErrorCode.IP_BANNED: 418,
    ErrorCode.TOO_MANY_REQUESTS: 429,
    ErrorCode.INTERNAL_ERROR: 500,
    ErrorCode.SYSTEM_BUSY: 500,
    ErrorCode.SERVICE_UNAVAILABLE: 503,
    ErrorCode.GATEWAY_TIMEOUT: 504,
}

_TEMPORARY_CODES = frozenset(
    {
        ErrorCode.ACCESS_DENIED,
        ErrorCode.IP_BANNED,
        ErrorCode.TOO_MANY_REQUESTS,
        ErrorCode.TOO_FREQUENT,
        ErrorCode.MAINTENANCE,
        ErrorCode.SYSTEM_MAINTENANCE,
        ErrorCode.FEATURE_UNAVAILABLE,
        ErrorCode.OUTSIDE_RECV_WINDOW,
    }
)
_UNKNOWN_CODES = frozenset(
    {
        ErrorCode.INTERNAL_ERROR,
        ErrorCode.SYSTEM_BUSY,
        ErrorCode.SERVICE_UNAVAILABLE,
        ErrorCode.GATEWAY_TIMEOUT,
        ErrorCode.SUBSYSTEM_ERROR,
    }
)
_TEMPORARY_STATUSES = frozenset({403, 418, 429})
_SUCCESS_CODES = frozenset({0, 200})
_MESSAGE_LIMIT = 300


class Certainty(StrEnum):
    """What an error proves about the request that caused it.

    PERMANENT: it was refused and will be refused again. TEMPORARY: it was refused before it was processed; the same request
    may pass later. UNKNOWN: it may have been carried out.
    """

    PERMANENT = "permanent"
    TEMPORARY = "temporary"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class WireError:
    """One MEXC error. For a reply without a code (an HTML page, an empty 401) ``code`` is the HTTP status and ``coded`` False."""

    code: int
    msg: str
    http_status: int = 400
    coded: bool = True

    @classmethod
    def of(cls, code: ErrorCode, msg: str) -> WireError:
        """The error with the status MEXC sends that code with."""
        return cls(code=int(code), msg=msg, http_status=code.http_status)

    def body(self) -> dict[str, object]:
        """The JSON body MEXC sends (§1.3). An unknown order carries the extra ``_extend`` key, as recorded."""
        if self.code in {ErrorCode.NO_SUCH_ORDER, ErrorCode.BAD_COMBINATION}:
            return {"msg": self.msg, "code": self.code, "_extend": None}
        return {"code": self.code, "msg": self.msg}

    @property
    def certainty(self) -> Certainty:
        """What the error proves, from its status and code alone; the text is ignored.

        A 5xx is unknown by MEXC's documentation (§1.2), whatever the body says. An undocumented code proves nothing.
        """
        if self.http_status >= 500 or self.http_status in {408, 425} or (self.coded and self.code in _UNKNOWN_CODES):
            return Certainty.UNKNOWN
        if self.http_status in _TEMPORARY_STATUSES or (self.coded and self.code in _TEMPORARY_CODES):
            return Certainty.TEMPORARY
        if self.http_status == 401 or (self.coded and self.code in _KNOWN_CODES):
            return Certainty.PERMANENT
        return Certainty.UNKNOWN


_ELSEWHERE = frozenset(
    {
        10099, 10100, 10103, 10201, 10202, 10211, 10216, 10222, 10232, 10259, 10265, 10268,
        88004, 88009,
        730001, 730002, 730003, 730100, 730101, 730600, 730601, 730602,
        *range(730700, 730708),
    }
)  # fmt: skip
"""Documented refusals of wallet, margin and sub-account calls (§1.6). A reply with one of them is a refusal."""

_KNOWN_CODES = frozenset({int(code) for code in ErrorCode}) | _ELSEWHERE


class WireRefusal(GatehouseError):
    """A request that cannot be accepted, with the error to reply with."""

    def __init__(self, error: WireError) -> None:
        super().__init__(
            f"MEXC {error.code}: {error.msg}",
            code="wire-refused",
            remedy="Correct the request as the message says and send it again.",
        )
        self.error = error


class MalformedReply(VenueError):
    """A venue's reply lacks a needed field or has one that cannot be read."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the venue's reply cannot be read: {what}",
            code="malformed-venue-reply",
            remedy="Compare the reply with mexc-spot-v3.md; MEXC may have changed its API.",
        )


def refuse(code: ErrorCode, msg: str) -> WireRefusal:
    """The refusal carrying ``code`` and ``msg``, to be raised."""
    return WireRefusal(WireError.of(code, msg))


def missing(name: str) -> WireRefusal:
    """The refusal of a request without a mandatory parameter, in MEXC's words (§1.6, 700004)."""
    return refuse(ErrorCode.MISSING_PARAMETER, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def load_json(body: bytes) -> object:
    """Decode a JSON reply; every non-integer becomes a ``Decimal``.

    Raises:
        MalformedReply: not JSON, NaN or Infinity inside, or nested too deeply.
    """
    try:
        decoded: object = json.loads(body, parse_float=Decimal, parse_constant=_no_constants)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise MalformedReply(f"not JSON ({type(error).__name__})") from error
    return decoded


_encoded = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def dump_json(value: object) -> bytes:
    """Encode a reply compactly, as UTF-8."""
    return _encoded(value).encode()


def parse_error(status: int, body: bytes) -> WireError | None:
    """The error a reply carries, or ``None`` for a success.

    Handles every form of §1.3: the usual object in any key order, ``_extend``, a message under ``data``, an error inside a
    200, an HTML page, an empty body. A 2xx that is not an object with an error code counts as a success, even if it is unreadable.
    """
    try:
        decoded = load_json(body)
    except MalformedReply:
        return None if 200 <= status < 300 else WireError(status, _excerpt(body, status), status, coded=False)
    return error_of(status, decoded)


def read_reply(status: int, body: bytes) -> tuple[WireError | None, object]:
    """The error a reply carries and, for a success, its decoded body; ``parse_error`` and ``load_json`` in one pass.

    Raises:
        MalformedReply: a success that is not JSON.
    """
    try:
        decoded = load_json(body)
    except MalformedReply:
        error = parse_error(status, body)
        if error is None:
            raise
        return error, None
    return error_of(status, decoded), decoded


def error_of(status: int, decoded: object) -> WireError | None:
    """As ``parse_error``, for a reply, or an element of one, that is already decoded."""
    fields = decoded if isinstance(decoded, dict) else {}
    code = _code_of(fields.get("code"))
    if 200 <= status < 300 and (code is None or code in _SUCCESS_CODES):
        return None
    return WireError(status if code is None else code, _message_of(fields, status), status, coded=code is not None)


def _code_of(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 9:
        return int(value)
    return None


def _message_of(fields: dict[object, object], status: int) -> str:
    for key in ("msg", "message", "data"):
        text = fields.get(key)
        if isinstance(text, str) and text:
            # JSON can write half of a surrogate pair, which no journal can store.
            return text[:_MESSAGE_LIMIT].encode("utf-8", errors="replace").decode()
    return f"HTTP {status} without a message"


def _excerpt(body: bytes, status: int) -> str:
    text = " ".join(body[:_MESSAGE_LIMIT].decode("utf-8", errors="replace").split())
    return f"HTTP {status}: {text}" if text else f"HTTP {status} with an empty body"


def _no_constants(name: str) -> object:
    raise ValueError(name)
