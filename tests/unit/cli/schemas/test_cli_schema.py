"""``gatehouse schema``: every verb that prints JSON has a schema, and the schema refuses what the verb does not print."""

from __future__ import annotations

import json

import pytest
import typer.main
from jsonschema_rs import Draft202012Validator, meta
from typer.testing import CliRunner

from controller.cli.app import app
from controller.cli.schemas.registry import ERROR, PRINTED, schema_of
from tests.support.cli_kit import Run, printed


def _verbs(command: object, path: tuple[str, ...] = ()) -> set[str]:
    """Every verb that has the option ``-o``."""
    if isinstance(inner := getattr(command, "commands", None), dict):
        return {name for word, one in inner.items() for name in _verbs(one, (*path, word))}
    options = [option for parameter in getattr(command, "params", ()) for option in parameter.opts]
    return {" ".join(path)} if "-o" in options else set()


def test_every_verb_with_json_has_a_schema_and_no_other() -> None:
    assert set(PRINTED) - {ERROR} == _verbs(typer.main.get_command(app))


@pytest.mark.parametrize("verb", sorted(PRINTED))
def test_a_schema_is_valid_json_schema(verb: str, run: Run) -> None:
    found = json.loads(run("schema", *verb.split()).stdout)

    assert found == schema_of(verb)
    assert meta.is_valid(found)


def test_without_a_verb_it_lists_all_of_them(run: Run) -> None:
    assert run("schema").stdout.split("\n")[:-1] == sorted(PRINTED)
    assert printed(run("schema", "-o", "json")) == sorted(PRINTED)


def test_a_verb_that_is_not_there_is_a_usage_error(run: Run) -> None:
    result = run("schema", "nothing", "-o", "json")

    assert result.exit_code == 2
    assert printed(result, error=True)["error"]["code"] == "no-such-schema"


def test_a_field_that_is_missing_or_too_many_does_not_fit() -> None:
    validator = Draft202012Validator(schema_of("keys show"))
    key = {"file": "a.key", "id": "sha256:00", "type": "ed25519", "public": "ssh-ed25519 AAAA"}

    assert validator.is_valid(key)
    assert not validator.is_valid(key | {"private": "x"})
    assert not validator.is_valid({name: value for name, value in key.items() if name != "public"})


def test_a_decimal_number_is_text_in_json() -> None:
    assert schema_of("orders")["$defs"]["OrderView"]["properties"]["executed"]["type"] == "string"


def test_a_shell_completes_verbs() -> None:
    completing = {"COMP_WORDS": "gatehouse sche", "COMP_CWORD": "1", "_GATEHOUSE_COMPLETE": "complete_bash"}

    found = CliRunner(env=completing).invoke(app, [], prog_name="gatehouse")

    assert found.stdout.split() == ["schema"]
