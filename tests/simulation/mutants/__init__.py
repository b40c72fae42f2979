"""Planted bugs, by what they are planted in: the simulation must find each of them.

Importing a module of this package puts its bugs into `PLANTED`; `planted` looks for them.
"""

from __future__ import annotations

from tests.simulation.mutants import (
    clients,
    commits,
    consensus,
    data,
    disks,
    late_deletions,
    long_entries,
    members,
    probation,
    rights,
    sessions,
    snapshots,
    strangers,
    watches,
)

MODULES = (
    consensus,
    disks,
    members,
    probation,
    snapshots,
    strangers,
    clients,
    sessions,
    watches,
    data,
    long_entries,
    late_deletions,
    commits,
    rights,
)
