"""Signing with a key in a PKCS#11 token, and the errors when that is not possible."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from securesystemslib.signer import HSMSigner

from controller.authority.command import Signatory
from controller.authority.envelope import Envelope, parse_envelope
from controller.authority.keys import public_key, save_key
from controller.authority.publickey import parse_public_line
from controller.authority.roster import KeyType, Person, Roster, parse_roster_json, roster_key
from controller.authority.signing import propose
from controller.authority.tokens import SCHEMES, find_key, is_token_uri
from controller.authority.verify import verify
from exchange.errors import UsageError
from policies.authority import Role
from tests.support import softhsm
from tests.support.cli_kit import Run, printed
from tests.support.softhsm import PIN, SoftToken
from tests.unit.authority.authority_kit import ALICE, NOW, a_command

PROPOSAL = propose(a_command())


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SoftToken:
    """The soft token, its PIN in a file."""
    if softhsm.module() is None:
        pytest.skip("libsofthsm2.so is not installed (Debian: softhsm2), so there is no token to sign with")
    found = softhsm.soft_token()
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "pin").write_text(PIN + "\n")
    (tmp_path / "pin").chmod(0o600)
    monkeypatch.setenv("GATEHOUSE_PIN_FILE", str(tmp_path / "pin"))
    return found


@pytest.fixture
def proposal(tmp_path: Path) -> Path:
    path = tmp_path / "command.json"
    path.write_text(PROPOSAL.text)
    return path


def imported(run: Run, uri: str) -> dict[str, str]:
    result = run("keys", "import", uri, "-o", "json")
    assert result.exit_code == 0, result.stderr
    return dict(printed(result))


def roster_with(entry: dict[str, str]) -> Roster:
    keys = [{name: value for name, value in entry.items() if name != "key"}]
    return parse_roster_json(json.dumps({"version": 1, "persons": [{"name": "zoe", "role": "operator", "keys": keys}]}).encode())


def signatories(envelope: Envelope, roster: Roster) -> tuple[Signatory, ...]:
    return verify(envelope.text, roster, NOW).signatories


def failed(run: Run, *arguments: str | Path) -> tuple[str, str]:
    result = run(*arguments, "-o", "json")
    assert result.exit_code != 0
    error = printed(result, error=True)["error"]
    return error["code"], error["remedy"]


@pytest.mark.parametrize(("curve", "kind"), [("secp256r1", "ecdsa-p256"), ("secp384r1", "ecdsa-p384")])
def test_a_key_that_never_leaves_its_token_signs_a_command(
    run: Run, token: SoftToken, proposal: Path, curve: str, kind: str
) -> None:
    uri = token.new_key(curve)
    entry = imported(run, uri)
    assert entry["type"] == kind
    assert run("sign", proposal, "--key", uri).exit_code == 0
    (one,) = signatories(parse_envelope(proposal.read_text()), roster_with(entry))
    assert (one.person, one.key_id, one.touched) == ("zoe", entry["id"], False)


def test_the_printed_roster_lines_load_as_a_roster(run: Run, token: SoftToken) -> None:
    uri = token.new_key()
    lines = run("keys", "import", uri).stdout
    text = f'version = 1\n[[persons]]\nname = "zoe"\nrole = "operator"\nkeys = [\n{lines}]\n'
    (person,) = Roster.model_validate_json(json.dumps(tomllib.loads(text))).persons
    assert person.keys[0].type is KeyType.PLAIN_P256


def test_a_token_and_a_key_file_sign_one_command_together(run: Run, token: SoftToken, proposal: Path, tmp_path: Path) -> None:
    uri = token.new_key()
    save_key(ALICE, tmp_path / "alice.key")
    assert run("sign", proposal, "--key", uri, "--key", tmp_path / "alice.key").exit_code == 0
    entry = roster_key(imported(run, uri)["public"], KeyType.PLAIN_P256)
    alice = Person(name="alice", role=Role.OPERATOR, keys=(roster_key(public_key(ALICE).line, KeyType.FILE),))
    roster = Roster(version=1, persons=(alice, Person(name="zoe", role=Role.APPROVER, keys=(entry,))))
    assert [one.person for one in signatories(parse_envelope(proposal.read_text()), roster)] == ["zoe", "alice"]


def test_the_same_token_does_not_sign_twice(run: Run, token: SoftToken, proposal: Path) -> None:
    uri = token.new_key()
    assert run("sign", proposal, "--key", uri).exit_code == 0
    assert failed(run, "sign", proposal, "--key", uri)[0] == "duplicate-signature"


def test_a_wrong_pin_signs_nothing_and_names_no_secret(
    run: Run, token: SoftToken, proposal: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uri, before = token.new_key(), proposal.read_text()
    (tmp_path / "pin").write_text("not-the-pin")
    result = run("sign", proposal, "--key", uri)
    assert "[token-unusable]" in result.stderr or "token-unusable" in result.stderr
    assert "PinIncorrect" in result.stderr
    assert "not-the-pin" not in result.stderr + result.stdout
    assert proposal.read_text() == before


def test_a_pin_that_others_can_read_is_not_used(run: Run, token: SoftToken, proposal: Path, tmp_path: Path) -> None:
    (tmp_path / "pin").chmod(0o640)
    assert failed(run, "sign", proposal, "--key", token.new_key())[0] == "secret-exposed"


def test_without_a_terminal_or_a_pin_file_signing_is_refused(
    run: Run, token: SoftToken, proposal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GATEHOUSE_PIN_FILE")
    code, remedy = failed(run, "sign", proposal, "--key", token.new_key())
    assert (code, "GATEHOUSE_PIN_FILE" in remedy) == ("no-pin", True)


@pytest.mark.parametrize("uri", ["hsm:99?label=gatehouse+desk", "hsm:2?label=another"])
def test_a_missing_key_or_token_is_reported_as_missing(run: Run, token: SoftToken, uri: str) -> None:
    assert failed(run, "keys", "import", uri)[0] == "token-unusable"


def test_a_key_on_an_unsupported_curve_is_not_enrolled(run: Run, token: SoftToken) -> None:
    assert failed(run, "keys", "import", token.new_key("secp521r1"))[0] == "token-unusable"


def test_without_a_pkcs11_module_the_error_names_the_variable(run: Run, token: SoftToken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYKCS11LIB")
    code, remedy = failed(run, "keys", "import", "hsm:")
    assert (code, "PYKCS11LIB" in remedy) == ("token-unusable", True)


def test_a_token_does_not_sign_with_a_key_listed_for_ssh_keygen(
    run: Run, token: SoftToken, deployment: Path, proposal: Path
) -> None:
    uri = token.new_key()
    line = imported(run, uri)["public"]
    listed = roster_key(line)
    text = (
        f'version = 1\n[[persons]]\nname = "zoe"\nrole = "operator"\n'
        f'keys = [{{ id = "{listed.id}", type = "{listed.type}", public = "{line}" }}]\n'
    )
    (deployment / "roster.toml").write_text(text)
    assert failed(run, "sign", proposal, "--key", uri, "--dir", deployment)[0] == "other-key-type"


@pytest.mark.parametrize("uri", ["awskms:desk", "azurekms://desk.vault.azure.net/keys/go", "HSM:2", "file:alice.key"])
def test_an_unknown_kind_of_key_uri_is_refused_with_the_known_kinds(run: Run, proposal: Path, uri: str) -> None:
    for arguments in (("sign", proposal, "--key", uri), ("keys", "import", uri)):
        code, remedy = failed(run, *arguments)
        assert (code, "hsm: (a PKCS#11 token) and hv: (a HashiCorp Vault)" in remedy) == ("bad-key-uri", True)


def test_without_the_token_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("securesystemslib.signer._hsm_signer.PKCS11_IMPORT_ERROR", "'python-pkcs11' required")
    monkeypatch.setenv("PYKCS11LIB", "/nowhere.so")
    with pytest.raises(UsageError) as refused:
        find_key("hsm:2", lambda: PIN)
    assert (refused.value.code, "'securesystemslib[hsm]'" in refused.value.remedy) == ("extra-missing", True)
    assert HSMSigner.SCHEME in SCHEMES


@pytest.fixture
def without_securesystemslib(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where gatehouse is installed without the extras ``hsm`` and ``vault``."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "securesystemslib"]:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("without_securesystemslib")
@pytest.mark.parametrize("uri", ["hsm:2", "hv:desk"])
def test_without_securesystemslib_a_key_named_by_uri_says_what_to_install(run: Run, proposal: Path, uri: str) -> None:
    for arguments in (("sign", proposal, "--key", uri), ("keys", "import", uri)):
        code, remedy = failed(run, *arguments)
        assert (code, f"'securesystemslib[{SCHEMES[uri.partition(':')[0]].extra}]'" in remedy) == ("extra-missing", True)


def test_without_securesystemslib_a_key_file_signs(proposal: Path, tmp_path: Path) -> None:
    save_key(ALICE, tmp_path / "alice.key")
    program = "import sys; sys.modules['securesystemslib'] = None; from controller.__main__ import main; main()"
    command = [sys.executable, "-c", program, "sign", proposal, "--key", tmp_path / "alice.key"]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(parse_envelope(proposal.read_text()).signatures) == 1


BAD_URIS = [
    "hsm:two",
    "hsm:-1",
    "hsm:２",
    "hsm:99999999999",
    "hsm:2?pin=4711",
    "hsm:2?label=a&label=b",
    "hsm://host/2",
    "hsm:2#x",
]


@pytest.mark.parametrize("uri", BAD_URIS)
def test_a_uri_that_names_no_key_is_refused_before_the_pin_is_asked(uri: str) -> None:
    def never() -> str:
        raise AssertionError("asked for the PIN")

    with pytest.raises(UsageError) as refused:
        find_key(uri, never)
    assert refused.value.code == "bad-key-uri"


@pytest.mark.parametrize("text", ["alice.key", "/keys/hsm", "./hsm:2", "C:\\keys\\alice", "./awskms:desk", "hsm"])
def test_a_key_without_a_known_uri_scheme_is_a_file(text: str) -> None:
    assert not is_token_uri(text)


def test_a_public_key_of_ssh_keygen_is_imported_from_its_file(run: Run, tmp_path: Path, sk_line: Callable[[], str]) -> None:
    (tmp_path / "id.pub").write_text(sk_line() + " me@here\n")
    entry = printed(run("keys", "import", tmp_path / "id.pub", "--require-pin", "-o", "json"))
    assert (entry["type"], entry["pin_required"]) == ("sk-ssh-ed25519@openssh.com", True)
    assert parse_public_line(entry["public"]).fingerprint == entry["id"]


@pytest.fixture
def sk_line() -> Callable[[], str]:
    from tests.unit.authority.authority_kit import CAROL, sk_public

    return lambda: sk_public(CAROL).line
