"""The limits of users: how much of a cluster each may take, by role.

They are replicated with the roles. Refuses to know what is counted, and where.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from actors.language.bounds import Unsigned


class UserLimits(NamedTuple):
    """What a role allows to each of its users; 0: the role does not limit it.

    At each node: requests and their bytes in a second, and open watches. In the cluster: leases.
    """

    requests_per_second: Unsigned = 0
    bytes_per_second: Unsigned = 0
    watches: Unsigned = 0
    leases: Unsigned = 0


NO_LIMITS: Final = UserLimits()
"""Those of a role that limits nothing."""


def limits_together(given: Iterable[UserLimits]) -> UserLimits:
    """The limits of a user with roles that have these: of each kind the largest.

    A role that does not limit something has no say in it. So a further role that is there for other
    rights never lifts a user's limit by accident.
    """
    return UserLimits(*map(max, zip(NO_LIMITS, *given, strict=True)))
