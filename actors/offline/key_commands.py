"""`leasehold key show|make|bootstrap`: the keys of a member, without a running node.

Owns the arguments, the output and the exit status. Only public halves are ever printed.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cluster.curve import HeldKeys, new_pair
from cluster.flags import FlagParser, fail
from cluster.key_files import MEMBER, MEMBER_FILE, KeyFileError, read, write, write_bootstrap

PROGRAM: Final = "leasehold key"
EXIT_FAILED: Final = 1

_COMMANDS: Final = {
    "show": "print the public key of a member, and the next one while it changes its key",
    "make": "make the key of a member that is to join, or to be a first member",
    "bootstrap": "make a secret for --initial-cluster-key-file, to copy to each first member",
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    parsed = _parse(arguments)
    try:
        if parsed.command == "bootstrap":
            write_bootstrap(Path(parsed.file))
        else:
            _print_keys(Path(parsed.data_dir) / MEMBER_FILE, make=parsed.command == "make")
    except (KeyFileError, OSError) as error:
        fail(PROGRAM, str(error), EXIT_FAILED)
    return 0


def _print_keys(path: Path, make: bool) -> None:
    """Print the public halves; a key that is there is never replaced."""
    if make and not path.exists():
        write(path, MEMBER, HeldKeys(new_pair()))
    held = read(path, MEMBER)
    sys.stdout.write(f"{held.pair.public}\n")
    if held.next is not None:
        sys.stdout.write(f"{held.next.public} (next)\n")


def _parse(arguments: Sequence[str]) -> Namespace:
    listed = "\n".join(f"  {name:10} {text}" for name, text in _COMMANDS.items())
    parser = FlagParser(PROGRAM, f"Keys of members:\n{listed}")
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("file", nargs="?", help="the secret to make (bootstrap)")
    parser.add_argument("--data-dir", metavar="DIR", help="the member's data (show, make)")
    parsed = parser.parse_args(arguments)
    wanted, given = (
        ("FILE", parsed.file)
        if parsed.command == "bootstrap"
        else (
            "--data-dir",
            parsed.data_dir,
        )
    )
    if not given:
        parser.error(f"{parsed.command} needs {wanted}")
    return parsed
