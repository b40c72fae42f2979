"""Objects that belong to one process: a forked child may look at them, but not use or free them.

A lease, a lock or a place in an election belongs to the process that won it. If a child gave it up
when it ended, the parent would go on in the belief that it still holds it.
"""

from __future__ import annotations

import os
from typing import Final

from cluster.errors import LeaseLostError

INHERITED: Final = "it belongs to the process that this one was forked from"


class Owned:
    """The base of objects that belong to the process in which they were made."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_inherited(self) -> bool:
        """Whether this process is a forked child of the one that it belongs to."""
        return os.getpid() != self._pid

    def _refuse_if_inherited(self) -> None:
        """Raise LeaseLostError in a forked child, before anything is sent."""
        if self.is_inherited:
            raise LeaseLostError(INHERITED)
