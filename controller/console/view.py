"""The base of every document the operator API answers with; every view of the console derives from it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """One answer: frozen, and unknown fields are ignored, so that an older command line can read a newer controller."""

    model_config = ConfigDict(frozen=True, extra="ignore")
