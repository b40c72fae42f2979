"""How the project's own commands read flags: etcd's `--flag-name`, one-line errors, exit status 2.

The node and the launcher share it. It refuses to know any flag.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final, NoReturn

from cluster.logs import last_line

EXIT_USAGE: Final = 2
"""The exit status of a command with wrong arguments."""


class FlagParser(argparse.ArgumentParser):
    """Argparse without abbreviations, whose errors are `PROGRAM: what is wrong` on one line.

    `log_format` is that of the program's log: in it errors are told, too.
    """

    def __init__(
        self,
        program: str,
        description: str,
        epilog: str | None = None,
        *,
        log_format: str = "text",
    ) -> None:
        super().__init__(
            prog=program,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._log_format = log_format

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit; argparse would print the whole usage before it."""
        line = f"{message} (see {self.prog} --help)"
        fail(self.prog, line, log_format=self._log_format)


def fail(
    program: str,
    message: str,
    status: int = EXIT_USAGE,
    *,
    name: str = "",
    log_format: str = "text",
) -> NoReturn:
    """Print one line on stderr and exit. `name` is that of the node, as far as it is known."""
    sys.stderr.write(last_line(program, name, message, log_format))
    raise SystemExit(status)
