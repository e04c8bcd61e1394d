"""The base of every document the operator API answers with; every view of the console derives from it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer

Amount = Annotated[Decimal, PlainSerializer(lambda value: format(value, "f"), when_used="json")]
"""A plain decimal string in JSON, as in the journal. It is said here again: the command line would load every event for it."""


class View(BaseModel):
    """One answer: frozen, and unknown fields are ignored, so that an older command line can read a newer controller."""

    model_config = ConfigDict(frozen=True, extra="ignore")
