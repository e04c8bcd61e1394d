"""The one error tree of gatehouse. Every module raises these errors.

Every error carries a stable ``code`` for machines, a message that says what and why, and a ``remedy`` that says what to do.
The command line prints the error and exits with ``exit_code``; nothing else prints an error.

    GatehouseError
    ├── UsageError            the caller asked for something that does not exist            exit 2
    ├── Refused               a gate, a policy or the lifecycle refused                     exit 3
    ├── Unauthorised          a signature, a quorum or a key was not sufficient             exit 4
    ├── Halted                the controller is HALTED and the request needs another stage  exit 5
    ├── Unreachable           a process or a venue did not answer                           exit 6
    ├── DeadlineExceeded      it did not happen within its time limit                       exit 7
    ├── IntegrityError        a journal, a tape or an evidence bundle was changed           exit 1
    ├── ConfigError           a settings or policy file is missing, malformed or too loose  exit 2
    └── VenueError            a venue answered with an error, or could not be asked         exit 6
"""

from __future__ import annotations

from typing import ClassVar


class GatehouseError(Exception):
    """Root of the tree. ``code`` is kebab-case and stable; ``remedy`` is one imperative sentence."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, code: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.remedy = remedy


class UsageError(GatehouseError):
    """The caller asked for something that does not exist or is not covered yet."""

    exit_code = 2


class ConfigError(GatehouseError):
    """A settings or policy file is missing, malformed or looser than the floors in code."""

    exit_code = 2


class Refused(GatehouseError):
    """A gate, a policy or the lifecycle refused."""

    exit_code = 3


class Unauthorised(GatehouseError):
    """A signature, a quorum, a key or a binding was not sufficient."""

    exit_code = 4


class Halted(GatehouseError):
    """The controller is HALTED and the request needs another stage."""

    exit_code = 5


class Unreachable(GatehouseError):
    """A process or a venue did not answer."""

    exit_code = 6


class DeadlineExceeded(GatehouseError):
    """It did not happen within its time limit."""

    exit_code = 7


class IntegrityError(GatehouseError):
    """A journal, a tape or an evidence bundle was changed or damaged."""


class VenueError(GatehouseError):
    """A venue answered a query with an error, or could not be asked. Never raised for the outcome of a placement."""

    exit_code = 6
