"""How the project's own commands read flags: etcd's `--flag-name`, one-line errors, exit status 2.

The node and the launcher share it. It refuses to know any flag.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final, NoReturn

EXIT_USAGE: Final = 2
"""The exit status of a command with wrong arguments."""


class FlagParser(argparse.ArgumentParser):
    """Argparse without abbreviations, whose errors are `PROGRAM: what is wrong` on one line."""

    def __init__(self, program: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=program,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit; argparse would print the whole usage before it."""
        fail(self.prog, f"{message} (see {self.prog} --help)")


def fail(program: str, message: str, status: int = EXIT_USAGE) -> NoReturn:
    """Print one line on stderr and exit."""
    sys.stderr.write(f"{program}: {message}\n")
    raise SystemExit(status)
