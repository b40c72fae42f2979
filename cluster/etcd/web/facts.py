"""What a front's HTTP/1.1 side is told at its start, and does not change."""

from __future__ import annotations

from typing import Protocol


class Facts(Protocol):
    """What the front knows from its start."""

    @property
    def cors(self) -> tuple[str, ...]:
        """The origins of --cors."""

    @property
    def request_bytes_max(self) -> int:
        """--max-request-bytes."""

    @property
    def node_pid(self) -> int:
        """The node's process."""

    @property
    def version(self) -> str:
        """Leasehold's version."""
