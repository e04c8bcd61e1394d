"""A PKCS#11 token in software (SoftHSM 2), with keys of its own making that never leave it.

A process loads a PKCS#11 module once, and SoftHSM reads its configuration then; so there is one token per process, and each test
makes its own key in it.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

MODULES = (Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib64/softhsm/libsofthsm2.so"))
PIN = "4711"
LABEL = "gatehouse desk"
_ids = itertools.count(2)


def module() -> Path | None:
    """The module, where Debian's softhsm2 is installed."""
    return next((path for path in MODULES if path.is_file()), None)


@dataclass(frozen=True)
class SoftToken:
    """The token and the environment that finds it."""

    environment: dict[str, str]
    _token: Any

    def new_key(self, curve: str = "secp256r1") -> str:
        """A fresh key pair on the token; the URI that signs with it."""
        from pkcs11 import Attribute, KeyType
        from pkcs11.util.ec import encode_named_curve_parameters

        number = next(_ids)
        with self._token.open(rw=True, user_pin=PIN) as session:
            parameters = session.create_domain_parameters(
                KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
            )
            parameters.generate_keypair(id=number.to_bytes(), label=f"key {number}", store=True)
        return f"hsm:{number}?label={LABEL.replace(' ', '+')}"


@cache
def soft_token() -> SoftToken:
    """The process's token. Its directory lives as long as the process."""
    import pkcs11

    library = module()
    assert library is not None
    directory = Path(tempfile.mkdtemp(prefix="softhsm-"))
    (directory / "tokens").mkdir()
    configuration = directory / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {directory / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    environment = {"SOFTHSM2_CONF": str(configuration), "PYKCS11LIB": str(library)}
    os.environ["SOFTHSM2_CONF"] = environment["SOFTHSM2_CONF"]
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "0815"],
        check=True,
        capture_output=True,
    )
    return SoftToken(environment, pkcs11.lib(str(library)).get_token(token_label=LABEL))
