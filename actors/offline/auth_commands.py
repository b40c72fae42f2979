"""`leasehold auth reset`: the way back for somebody whom no password or key lets in any more.

Whoever may write a member's data directory may ask for it there, while the member is stopped. When
it starts, it puts the end of authentication into the log, as any other entry: so all members agree,
and none has to stop but this one. Owns the arguments, the mark in the directory, the exit status.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from actors.language.errors import StorageError, described
from actors.runtime.premises import take_directory
from cluster.flags import FlagParser, fail
from cluster.private import create, sync_directory

PROGRAM: Final = "leasehold auth"
EXIT_FAILED: Final = 1

MARK: Final = "auth-reset"
"""The file whose presence asks for it."""

_COMMANDS: Final = {"reset": "switch authentication off when this member starts the next time"}


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    data_dir = Path(_parse(arguments).data_dir)
    try:
        if not (data_dir / "wal").is_dir():
            raise StorageError(f"{data_dir}: there is no member's data")
        lock = take_directory(data_dir)
        create(data_dir / MARK).close()
        sync_directory(data_dir)
        os.close(lock)
    except (StorageError, OSError) as error:
        reason = described(error) if isinstance(error, OSError) else str(error)
        fail(PROGRAM, reason, EXIT_FAILED)
    sys.stdout.write(
        "Authentication ends for the whole cluster when this member has started again.\n"
        "Then give root a password (user passwd root), and switch it on (auth enable).\n"
    )
    return 0


def take_mark(data_dir: Path) -> bool:
    """Whether authentication is to end; the mark is gone then, so that it counts once."""
    try:
        (data_dir / MARK).unlink()
    except FileNotFoundError:
        return False
    sync_directory(data_dir)
    return True


def _parse(arguments: Sequence[str]) -> Namespace:
    listed = "\n".join(f"  {name:10} {text}" for name, text in _COMMANDS.items())
    parser = FlagParser(PROGRAM, f"Users of a cluster that lets nobody in:\n{listed}")
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("--data-dir", metavar="DIR", required=True, help="the member's data")
    return parser.parse_args(arguments)
