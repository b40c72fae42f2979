"""What the client's core tells of watches and of leases that it keeps, each under its number.

The owner of a watch or a lease gave it the number, and is told by it. Pure data.
"""

from __future__ import annotations

from typing import NamedTuple

from cluster.client.results import Event, Header
from cluster.errors import LeaseholdError


class WatchOpened(NamedTuple):
    """The first node has accepted the watch; events follow."""

    number: int
    header: Header


class WatchEvents(NamedTuple):
    """New events of a watch: whole revisions, in order, none of them seen before.

    None at all: every event up to the header's revision was delivered before.
    """

    number: int
    header: Header
    events: tuple[Event, ...]


class WatchEnded(NamedTuple):
    """No more events will come."""

    number: int
    error: LeaseholdError


class LeaseRenewed(NamedTuple):
    """The lease kept under this number can be relied on until then (seconds, monotonic)."""

    number: int
    good_until: float


class LeaseLost(NamedTuple):
    """The lease kept under this number is gone, or must be taken to be."""

    number: int
    error: LeaseholdError


Notice = WatchOpened | WatchEvents | WatchEnded | LeaseRenewed | LeaseLost
