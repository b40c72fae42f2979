"""A member that comes back with an empty disk: the two steps that Raft itself does not know.

Why they are safe is argued in actors/raft/probation.py. Until it is admitted the member is barred:
it may not stand, and votes only by that module's rule, which `raft.hear_request` calls willing.
"""

from __future__ import annotations

from tests.spec.raft import in_term
from tests.spec.state import Member


def rejoin(m: Member, term: int) -> Member | None:
    """Take part without a vote: enter the latest term that others know, with its vote gone."""
    return in_term(m, term)._replace(vote=m.id) if m.barred and term >= m.term else None


def admit(m: Member) -> Member | None:
    """All that was promised before has been learnt again."""
    return m._replace(barred=False) if m.barred else None
