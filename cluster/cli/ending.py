"""How a command ends: etcdctl's exit codes, and the error that carries one. Prints nothing."""

from __future__ import annotations

from typing import Final, NoReturn

from cluster.errors import LeaseholdError
from cluster.faults import UNKNOWN

EXIT_ERROR: Final = 1
EXIT_BAD_CONNECTION: Final = 2
EXIT_INVALID_INPUT: Final = 3
EXIT_BAD_FEATURE: Final = 4
EXIT_INTERRUPTED: Final = 5
EXIT_BAD_ARGUMENTS: Final = 128
EXIT_SIGINT: Final = 130
EXIT_SIGPIPE: Final = 141


class CommandError(Exception):
    """Ends a command, with one line for stderr and an exit code."""

    def __init__(self, message: str, exit_code: int = EXIT_ERROR) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code


def bad_arguments(message: str) -> NoReturn:
    """End the command because its arguments are wrong."""
    raise CommandError(message, EXIT_BAD_ARGUMENTS)


def go_text(error: LeaseholdError) -> str:
    """How etcdctl writes an error that Go's client does not know: a text for `failure`."""
    return "rpc error: code = Unknown desc = {}" if error.code == UNKNOWN else "{}"


def failure(error: LeaseholdError, exit_code: int = EXIT_ERROR, text: str = "{}") -> NoReturn:
    """End the command with the server's text, wrapped as etcdctl does."""
    raise CommandError(text.format(error.message), exit_code) from error
