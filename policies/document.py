"""Policy files: read TOML or canonical JSON, write canonical bytes, compute the digest. Start, commands and the CLI call it.

Both readers apply the same validation and the same production floors, so no ``Policy`` that was read is looser than the floors.
"""

from __future__ import annotations

import json
import re
import tomllib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NoReturn

from pydantic import ValidationError

from exchange.errors import ConfigError, IntegrityError
from policies import canonical
from policies.floors import Violation, violations
from policies.numbers import text as decimal_text
from policies.schema import GUARD_BEFORE_GATE, Policy

__all__ = [
    "Policy",
    "canonical_bytes",
    "digest",
    "json_schema",
    "load_policy",
    "looser_places",
    "parse_canonical",
    "parse_journalled",
]

_MAX_BYTES = 1 << 20
_REPR = re.compile(r"Decimal\('([^']*)'\)")
_LATER = (("Policy", "flatten"), ("Guards", "reduce"), ("Limits", "exit_stop_fraction"))
"""The fields, by section, that policies in older journals may lack. A policy that comes into force must have them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_digested: tuple[Policy, str] | None = None


def load_policy(source: bytes | str) -> Policy:
    """Read a policy from TOML.

    Raises:
        ConfigError: not TOML, a field missing, unknown or malformed, or looser than the production floors. The message starts with
            the exact path, as in ``guards.quote_stale.cancel_ms``.
    """
    return _complete(_validated(_read(source)))


def looser_places(source: bytes | str) -> tuple[Violation, ...]:
    """Return every place where a policy in TOML is looser than the production floors, not the first alone.

    ``gatehouse update check`` shows them: another version of gatehouse may have other floors. The policy comes into force nowhere.

    Raises:
        ConfigError: not TOML, or a field missing, unknown or malformed.
    """
    return violations(_modelled(_read(source)))


def parse_canonical(data: bytes) -> Policy:
    """Read the bytes that ``canonical_bytes`` wrote, of a policy that is to come into force.

    Raises:
        IntegrityError: not the canonical form of a policy.
        ConfigError: as for ``load_policy``.
    """
    return _complete(parse_journalled(data))


def parse_journalled(data: bytes) -> Policy:
    """Read the bytes that ``canonical_bytes`` wrote, from a journal or from an evidence bundle; an older one may lack fields.

    Raises:
        IntegrityError: not the canonical form of a policy.
        ConfigError: as for ``load_policy``.
    """
    policy = _validated(canonical.decode(data))
    if canonical_bytes(policy) != data:
        raise IntegrityError(
            "the bytes are not the canonical form of a policy",
            code="not-canonical",
            remedy="Use the policy exactly as gatehouse wrote it.",
        )
    return policy


def canonical_bytes(policy: Policy) -> bytes:
    """Return the policy as RFC 8785 JSON: decimals as plain text, instants as milliseconds.

    An optional field with its default value is left out, so that a policy written before the field existed keeps its digest.
    """
    return canonical.encode(policy.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def digest(policy: Policy) -> str:
    """Return ``sha256:<hex>`` of the canonical bytes. Equal policies have equal digests, however their files are formatted.

    The last one is remembered, because every judgement of a gate asks for that of the policy in force.
    """
    global _digested  # noqa: PLW0603 - a memory of a pure function, replaced as a whole
    known = _digested
    if known is None or known[0] is not policy:
        known = _digested = policy, canonical.digest(canonical_bytes(policy))
    return known[1]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file, for editors."""
    schema = Policy.model_json_schema()
    for section, name in _LATER:
        node = schema if section == "Policy" else schema["$defs"][section]
        node["required"].append(name)
        node["properties"][name] = node["properties"][name]["anyOf"][0]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _complete(policy: Policy) -> Policy:
    sections = {"Policy": (policy, ""), "Guards": (policy.guards, "guards."), "Limits": (policy.limits, "limits.")}
    for section, name in _LATER:
        node, path = sections[section]
        if getattr(node, name) is None:
            raise _missing(f"{path}{name}")
    if found := violations(policy):
        _refuse(found)
    return policy


def _validated(tree: object) -> Policy:
    policy = _modelled(tree)
    if found := violations(policy, journalled=True):
        _refuse(found)
    return policy


def _modelled(tree: object) -> Policy:
    try:
        return Policy.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        _explain(error)


def _read(source: bytes | str) -> object:
    """The values of a TOML text, as JSON has them."""
    try:
        content = source.decode("utf-8") if isinstance(source, bytes) else source
        if len(content) > _MAX_BYTES:
            raise _malformed("the file", f"is longer than {_MAX_BYTES} bytes", "Give a policy file of at most 1 MiB.")
        return _plain(tomllib.loads(content, parse_float=Decimal))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed("the file", f"is not TOML: {error}", "Correct the line named in the message.") from None


def _plain(value: object, path: str = "") -> object:
    """Convert TOML values to JSON values: decimals to text, instants to milliseconds."""
    match value:
        case dict():
            return {key: _plain(item, f"{path}.{key}" if path else key) for key, item in value.items()}
        case list():
            return [_plain(item, f"{path}.{number}") for number, item in enumerate(value)]
        case Decimal():
            if not value.is_finite():
                raise _malformed(path, f"is {value}, which is not a finite number", "Write a plain decimal number.")
            return decimal_text(value) if abs(value.adjusted()) < 100 else str(value)
        case datetime():
            if value.tzinfo is None:
                raise _malformed(path, "has no time zone", "Write the instant in UTC with a final Z.")
            return (value - _EPOCH) // timedelta(milliseconds=1)
        case date() | time():
            raise _malformed(path, "is not an instant", "Write a date and a time in UTC, as in 2026-01-01T00:00:00Z.")
        case _:
            return value


def _explain(error: ValidationError) -> NoReturn:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"]) or "the policy"
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    match first["type"]:
        case "missing":
            raise _missing(path, more)
        case kind if kind == GUARD_BEFORE_GATE:
            where, gap = first["ctx"]["path"], first["ctx"]["gap"]
            raise _malformed(where, f"{first['msg']}{more}", f"Make {where} at least {gap}, or leave it out.")
        case "extra_forbidden":
            raise _malformed(path, f"is not a field of a policy{more}", f"Remove {path}, or correct its spelling.")
        case _:
            reason = _REPR.sub(r"\1", first["msg"].removeprefix("Value error, "))
            raise _malformed(path, f"is not acceptable: {reason}{more}", f"Change {path} as the message says.")


def _missing(path: str, more: str = "") -> ConfigError:
    return _malformed(path, f"is missing{more}", f"Add {path}; no limit has a default. See policies/examples for complete files.")


def _refuse(found: tuple[Violation, ...]) -> NoReturn:
    first = found[0]
    more = f" ({len(found) - 1} more: {', '.join(item.path for item in found[1:])})" if len(found) > 1 else ""
    raise ConfigError(
        f"{first.path} is {first.measured}, which is looser than the production floor {first.bound}: {first.why}{more}",
        code="policy-looser-than-floor",
        remedy=f"Make {first.path} {first.bound}, or set environment to rehearsal.",
    )


def _malformed(path: str, what: str, remedy: str) -> ConfigError:
    return ConfigError(f"{path} {what}", code="policy-invalid", remedy=remedy)
