"""An audit log without a file, which keeps what it is given."""

from __future__ import annotations

import json
from typing import Any


class Records:
    """Keeps the records."""

    lost = 0

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []

    def write(self, record: dict[str, Any]) -> None:
        # As a line of a file has it: what cannot be one is a fault.
        self.taken.append(json.loads(json.dumps(record, allow_nan=False)))

    def close(self) -> None:
        """Nothing: all is kept."""

    def take(self) -> list[dict[str, Any]]:
        """The records since the last call."""
        taken, self.taken = self.taken, []
        return taken
