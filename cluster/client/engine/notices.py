"""Notices: what the client's core reports about watches and renewed leases. Pure data.

`number` names the watch or the lease. Its owner got that number from the Connection.
"""

from __future__ import annotations

from typing import NamedTuple

from cluster.client.results import Event, Header
from cluster.errors import LeaseholdError


class WatchOpened(NamedTuple):
    """A node has accepted the watch for the first time; events follow."""

    number: int
    header: Header


class WatchEvents(NamedTuple):
    """New events of a watch: whole revisions, in order, none of them seen before.

    Without events it is a bookmark: all events up to the header's revision were delivered.
    """

    number: int
    header: Header
    events: tuple[Event, ...]


class WatchEnded(NamedTuple):
    """The watch has ended, for this reason: no more events will come."""

    number: int
    error: LeaseholdError


class LeaseRenewed(NamedTuple):
    """A renewal was acknowledged: the lease is good until then (seconds, monotonic)."""

    number: int
    good_until: float


class LeaseLost(NamedTuple):
    """The lease is gone, or may be gone because no renewal was acknowledged in time."""

    number: int
    error: LeaseholdError


Notice = WatchOpened | WatchEvents | WatchEnded | LeaseRenewed | LeaseLost
