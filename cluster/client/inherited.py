"""What a forked child finds of its parent's: it may look, but never use or free it.

A lease, a lock or a place in an election belongs to the process that has won it. Were a child to
give it up at its end, its parent would go on in the belief that it holds it.
"""

from __future__ import annotations

import os
from typing import Final

from cluster.errors import LeaseLostError

INHERITED: Final = "it belongs to the process that this one was forked from"


class Owned:
    """Something that one process has: the one in which it was made."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_inherited(self) -> bool:
        """Whether this is another process than the one that has it."""
        return os.getpid() != self._pid

    def refuse_if_inherited(self) -> None:
        """Raise LeaseLostError in a forked child, before anything is sent."""
        if self.is_inherited:
            raise LeaseLostError(INHERITED)
