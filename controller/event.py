"""What every journal event is: frozen, known by its kind, and nothing but strings, integers and booleans once written."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, PlainSerializer

Amount = Annotated[Decimal, PlainSerializer(lambda value: format(value, "f"), when_used="json")]
"""A Decimal that is written without an exponent."""


class Event(BaseModel):
    """Base of every journal event. ``kind`` is the class name in kebab-case."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = "".join(f"-{c.lower()}" if c.isupper() else c for c in cls.__name__).lstrip("-")
