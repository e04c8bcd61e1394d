"""The version that ``pyproject.toml`` names."""

from __future__ import annotations

import tomllib

from ops.deb.tree import ROOT

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
