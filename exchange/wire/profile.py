"""Reads and writes KYC, uid, MX deduction and STP groups (mexc-spot-v3.md §4.11). The client and the testnet call it.

Replies with a ``code`` use 0 or 200 for success, as the captures do; the parsers accept both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from exchange.model import Millis
from exchange.wire.errors import ErrorCode, missing, refuse
from exchange.wire.fields import Fields

MAX_GROUP_NAME = 64
MAX_UIDS = 20
"""The most uids of one call; MEXC documents no number."""


class KycLevel(StrEnum):
    """How far MEXC has identified the account's owner."""

    NONE = "1"
    PRIMARY = "2"
    ADVANCED = "3"
    INSTITUTIONAL = "4"


@dataclass(frozen=True, slots=True)
class StrategyGroup:
    """Accounts between which self-trade prevention acts. ``uids`` is empty where a reply does not list them."""

    id: int
    name: str
    created_at: Millis
    updated_at: Millis
    uids: tuple[str, ...] = ()


def kyc_json(level: KycLevel) -> dict[str, object]:
    """The ``kyc/status`` reply."""
    return {"status": level.value}


def uid_json(uid: str) -> dict[str, object]:
    """The ``uid`` reply."""
    return {"uid": uid}


def mx_deduct_json(*, enabled: bool, at: Millis) -> dict[str, object]:
    """The reply to reading or switching MX deduction."""
    return {"data": {"mxDeductEnable": enabled}, "code": 0, "msg": "success", "timestamp": at}


def parse_mx_deduct(decoded: object) -> bool:
    """Read the reply to asking for MX deduction (§4.11). Raises ``MalformedReply``."""
    return Fields("mxDeduct", decoded).fields("data").flag("mxDeductEnable")


def parse_mx_deduct_switch(params: Mapping[str, str]) -> bool:
    """The mandatory ``mxDeductEnable``, lower-case ``true`` or ``false`` (§2.7). Raises ``WireRefusal``: 700004, 33333."""
    text = params.get("mxDeductEnable", "")
    if not text:
        raise missing("mxDeductEnable")
    if text not in {"true", "false"}:
        raise refuse(ErrorCode.BAD_PARAMETER, "mxDeductEnable must be true or false.")
    return text == "true"


def group_json(group: StrategyGroup, uids: Sequence[str] | None = None) -> dict[str, object]:
    """One strategy group; ``tradeGroupUid`` only where the reply has it."""
    named = {} if uids is None else {"tradeGroupUid": ",".join(uids)}
    return {
        "tradeGroupName": group.name,
        "tradeGroupId": group.id,
        **named,
        "createTime": group.created_at,
        "updateTime": group.updated_at,
    }


def group_reply(data: object, at: Millis) -> dict[str, object]:
    """The outer object of every strategy group reply."""
    return {"data": data, "code": 200, "msg": "success", "timestamp": at}


def parse_group_name(params: Mapping[str, str]) -> str:
    """The mandatory ``tradeGroupName``. Raises ``WireRefusal``: 700004, 700008."""
    name = params.get("tradeGroupName", "")
    if not name:
        raise missing("tradeGroupName")
    if len(name) > MAX_GROUP_NAME or not name.isprintable():
        raise refuse(ErrorCode.ILLEGAL_CHARACTERS, "Illegal characters found in parameter 'tradeGroupName'.")
    return name


def parse_group_id(params: Mapping[str, str]) -> int:
    """The mandatory ``tradeGroupId``. Raises ``WireRefusal``: 700004, 700008."""
    text = params.get("tradeGroupId", "")
    if not text:
        raise missing("tradeGroupId")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise refuse(ErrorCode.ILLEGAL_CHARACTERS, "Illegal characters found in parameter 'tradeGroupId'.")
    return int(text)


def parse_uids(params: Mapping[str, str]) -> tuple[str, ...]:
    """The mandatory ``uid``: comma-separated, in order, without repeats. Raises ``WireRefusal``: 700004, 700008, 33333."""
    text = params.get("uid", "")
    if not text:
        raise missing("uid")
    uids = tuple(dict.fromkeys(text.split(",")))
    if len(uids) > MAX_UIDS:
        raise refuse(ErrorCode.BAD_PARAMETER, f"At most {MAX_UIDS} uids.")
    if not all(uid.isascii() and uid.isdigit() and len(uid) <= 20 for uid in uids):
        raise refuse(ErrorCode.ILLEGAL_CHARACTERS, "Illegal characters found in parameter 'uid'.")
    return uids
