"""Compile the push messages of exchange/wire/pb to Python and type stubs. Run by `make proto`; the output is checked in.

`generate(target)` writes into any directory, so a test can compare a fresh compilation with what is checked in.
"""

from __future__ import annotations

import os
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
SOURCES = Path("exchange/wire/pb")


def generate(target: Path) -> list[Path]:
    """Compile every .proto file into ``target`` and return the files written, relative to it.

    Raises:
        RuntimeError: the compiler refused a file; its own message is on standard error.
    """
    protos = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / SOURCES).glob("*.proto"))
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    code = protoc.main(
        [
            "protoc",
            f"--proto_path={ROOT}",
            f"--proto_path={files('grpc_tools') / '_proto'}",
            f"--python_out={target}",
            f"--mypy_out=quiet:{target}",
            *protos,
        ]
    )
    if code != 0:
        raise RuntimeError(f"protoc ended with {code}")
    return sorted(path.relative_to(target) for path in (target / SOURCES).glob("*_pb2.py*") if path.suffix in {".py", ".pyi"})


if __name__ == "__main__":
    for written in generate(ROOT):
        print(written)
