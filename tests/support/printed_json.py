"""Checks what a verb prints with ``-o json`` against the schema that ``gatehouse schema`` publishes, by a validator not ours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import takewhile
from typing import Any

from jsonschema_rs import Draft202012Validator
from typer.testing import Result

from controller.cli.schemas.registry import ERROR, PRINTED, schema_of


def check_printed(arguments: Sequence[str], result: Result) -> None:
    """Fail if a document on standard output, or the error on standard error, does not fit its schema."""
    if "json" not in arguments:
        return
    if (verb := verb_of(arguments)) is not None and verb != "schema":
        for document in documents(result.stdout):
            fits(verb, document)
    if result.stderr.startswith('{\n  "error"'):
        fits(ERROR, json.loads(result.stderr))


def fits(verb: str, document: Any) -> None:
    """Fail, with the place and the reason, if one document does not fit the verb's schema."""
    problems = [f"{error.instance_path}: {error.message}" for error in _validator(verb).iter_errors(document)]
    assert not problems, f"gatehouse {verb} -o json prints what its schema does not allow: {problems[:5]}"


def verb_of(arguments: Sequence[str]) -> str | None:
    """The verb that is typed, of one word or two; ``None`` for one that prints no JSON."""
    words = list(takewhile(lambda word: not word.startswith("-"), arguments))
    names = (" ".join(words[:count]) for count in (2, 1))
    return next((name for name in names if name in PRINTED), None)


def documents(text: str) -> Iterator[Any]:
    """Each JSON document of an output that may hold several."""
    decoder, rest = json.JSONDecoder(), text.lstrip()
    while rest:
        document, end = decoder.raw_decode(rest)
        yield document
        rest = rest[end:].lstrip()


@cache
def _validator(verb: str) -> Draft202012Validator:
    return Draft202012Validator(schema_of(verb))
