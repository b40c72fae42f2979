"""What a refusal means for somebody at a launcher: that requests are checked, and it is nobody."""

from __future__ import annotations

from typing import Final

from cluster.faults import FAULTS

NOBODY: Final = FAULTS["UserEmpty"].message
DENIED: Final = FAULTS["PermissionDenied"].message
SHUT_OUT: Final = frozenset({NOBODY, DENIED})


def explained(message: str) -> str:
    """A node's text of an error; with what to do, if it does not know the launcher as a user."""
    if message == NOBODY:
        return (
            f"{message}: requests are checked here (auth enable), and the launcher is no user;"
            " leasectl --user NAME can do it"
        )
    if message == DENIED:
        return f"{message}: the launcher's user needs the role root"
    return message
