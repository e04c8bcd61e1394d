"""The profile endpoints: KYC, uid, MX deduction, STP groups (mexc-spot-v3.md §4.11). All are signed.

Groups are listed under ``GET strategy/group``; ``GET strategy/group/uid`` shows one group with its uids, like the reply to adding
some.
"""

from __future__ import annotations

from exchange.testnet.access.auth import Permission
from exchange.testnet.conditions.faults import Operation
from exchange.testnet.http import openapi_parts as d
from exchange.testnet.http.endpoint import Call, Endpoint
from exchange.wire.profile import (
    group_json,
    group_reply,
    kyc_json,
    mx_deduct_json,
    parse_group_id,
    parse_group_name,
    parse_mx_deduct_switch,
    parse_uids,
    uid_json,
)


def _kyc(call: Call) -> object:
    return kyc_json(call.venue.accounts[call.account].kyc)


def _uid(call: Call) -> object:
    return uid_json(call.venue.uids[call.account])


def _mx_deduct(call: Call) -> object:
    return mx_deduct_json(enabled=call.venue.mx_fees.is_on(call.account), at=call.now)


def _switch_mx_deduct(call: Call) -> object:
    enabled = parse_mx_deduct_switch(call.params)
    call.venue.mx_fees.switch(call.account, on=enabled)
    return mx_deduct_json(enabled=enabled, at=call.now)


def _create_group(call: Call) -> object:
    return group_reply(group_json(call.venue.groups.create(call.account, parse_group_name(call.params), call.now)), call.now)


def _list_groups(call: Call) -> object:
    name = parse_group_name(call.params) if call.params.get("tradeGroupName") else None
    return group_reply([group_json(group, group.uids) for group in call.venue.groups.named(call.account, name)], call.now)


def _delete_group(call: Call) -> object:
    call.venue.groups.delete(call.account, parse_group_id(call.params))
    return group_reply(data=True, at=call.now)


def _add_uids(call: Call) -> object:
    added = parse_uids(call.params)
    group = call.venue.groups.add(call.account, parse_group_id(call.params), added, call.now)
    return group_reply(group_json(group, added), call.now)


def _show_uids(call: Call) -> object:
    group = call.venue.groups.group(call.account, parse_group_id(call.params))
    return group_reply(group_json(group, group.uids), call.now)


def _remove_uids(call: Call) -> object:
    removed = parse_uids(call.params)
    call.venue.groups.remove(call.account, parse_group_id(call.params), removed, call.now)
    return group_reply(data=True, at=call.now)


_READ, _WRITE = Permission.SPOT_ACCOUNT_READ, Permission.SPOT_ACCOUNT_WRITE
_MX, _GROUP, _UIDS = "/api/v3/mxDeduct/enable", "/api/v3/strategy/group", "/api/v3/strategy/group/uid"
_QUERY = Operation.QUERY
_SWITCH, _NAME, _ID, _UID_LIST = d.MX_DEDUCT_ENABLE, d.GROUP_NAME, d.GROUP_ID, d.UIDS

ENDPOINTS = (
    Endpoint("GET", "/api/v3/kyc/status", _QUERY, _READ, _kyc, "How well the owner is known.", (), d.KYC),
    Endpoint("GET", "/api/v3/uid", _QUERY, _READ, _uid, "The account's uid.", (), d.UID),
    Endpoint("GET", _MX, _QUERY, Permission.SPOT_DEAL_READ, _mx_deduct, "Whether fees are paid in MX.", (), d.MX_DEDUCT),
    Endpoint(
        "POST", _MX, _QUERY, Permission.SPOT_DEAL_WRITE, _switch_mx_deduct, "Switch paying fees in MX.", (_SWITCH,), d.MX_DEDUCT
    ),
    Endpoint("POST", _GROUP, _QUERY, _WRITE, _create_group, "Create an STP group.", (_NAME,), d.GROUP),
    Endpoint("GET", _GROUP, _QUERY, _READ, _list_groups, "List STP groups.", (d.optional(_NAME),), d.GROUPS),
    Endpoint("DELETE", _GROUP, _QUERY, _WRITE, _delete_group, "Delete an STP group.", (_ID,), d.DONE),
    Endpoint("POST", _UIDS, _QUERY, _WRITE, _add_uids, "Add accounts to an STP group.", (_ID, _UID_LIST), d.GROUP),
    Endpoint("GET", _UIDS, _QUERY, _READ, _show_uids, "Show an STP group's accounts.", (_ID,), d.GROUP),
    Endpoint("DELETE", _UIDS, _QUERY, _WRITE, _remove_uids, "Remove accounts from an STP group.", (_ID, _UID_LIST), d.DONE),
)
