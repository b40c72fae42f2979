"""The program `run_cluster.py`, and `python -m cluster.launcher`: chooses which half is meant.

A command from another terminal needs little: the half that starts a cluster is not loaded for it.
"""

from __future__ import annotations

import sys

from cluster.launcher.program import CTL


def main() -> int:
    """Run the program with the command line's arguments; the exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == [CTL]:
        from cluster.launcher.commands import caller  # noqa: PLC0415 - it loads only one half

        return caller.main(arguments[1:])
    from cluster.launcher import app  # noqa: PLC0415

    return app.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
