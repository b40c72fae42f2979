"""Who was what, and when: the roles of every node and of the cluster, as spans of time.

Made of happenings alone: what the nodes told of themselves, and what the launcher saw of their
processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from cluster.launcher.story.happenings import REMOVED, Happening

ROLES: Final = (
    "leader",
    "follower",
    "learner",
    "pre_candidate",
    "candidate",
    "starting",
    "paused",
    "stopped",
    "killed",
    "removed",
    "no leader",
)
"""All that a span may show, in the order of a legend."""


OUTSIDE_TERMS: Final = frozenset(ROLES[ROLES.index("starting") :])
"""The roles of a node that takes no part: its term is not worth a word."""

FOLLOWING: Final = "following"
"""A change of a node that knows a leader: a learner stays one, another is a follower."""

RESUMED: Final = "resumed"
"""A change of a paused node to what it was before."""


class RoleSpan(NamedTuple):
    """From `began` to `ended` (monotonic seconds) a node was in this role, in this term.

    Of the cluster's own row, `role` is the leader's name, or `no leader`.
    """

    began: float
    ended: float
    role: str
    term: int

    @property
    def words(self) -> str:
        """The role and, of who runs, the term: `leader 3`."""
        has_term = self.term and self.role not in OUTSIDE_TERMS
        return self.role.replace("_", "-") + (f" {self.term}" if has_term else "")


class RoleChange(NamedTuple):
    """At this time a node takes this role; a term of 0 is the term that it had."""

    at: float
    node: str
    role: str
    term: int


def of_nodes(happenings: Sequence[Happening]) -> dict[str, list[RoleSpan]]:
    """The spans of each node, in the order of the nodes' names; the last ends with the last."""
    changes: dict[str, list[RoleChange]] = {}
    # A node's line may reach the journal after the news of its end.
    for happening in sorted(happenings, key=lambda each: each.at):
        for change in _changes(happening):
            changes.setdefault(change.node, []).append(change)
    until = end_of(happenings)
    return {node: _spans(changes[node], until) for node in sorted(changes, key=_natural)}


def of_leaders(happenings: Sequence[Happening]) -> list[RoleSpan]:
    """Who led the cluster, as most of its nodes said."""
    changes = [
        RoleChange(
            happening.at,
            "",
            str(happening.fields.get("leader") or "no leader"),
            _term(happening),
        )
        for happening in happenings
        if happening.kind in {"leader", "ready"}
    ]
    return _spans(changes, end_of(happenings))


def end_of(happenings: Sequence[Happening]) -> float:
    """The time of the last happening; 0 where there is none."""
    return max((happening.at for happening in happenings), default=0.0)


def _changes(happening: Happening) -> Iterable[RoleChange]:
    at, source, fields = happening.at, happening.source, happening.fields
    victim = str(fields.get("victim", ""))
    match happening.kind:
        case "role":
            yield RoleChange(at, source, str(fields.get("role", "follower")), _term(happening))
        case "elected":
            yield RoleChange(at, source, "leader", _term(happening))
        case "follows" | "stepped_down":
            yield RoleChange(at, source, FOLLOWING, _term(happening))
        case "launched":
            yield RoleChange(at, victim, "starting", 0)
        case "died":
            yield RoleChange(
                at, victim, "killed" if "killed" in str(fields.get("how")) else "stopped", 0
            )
        case "member" if fields.get("what") == REMOVED:
            yield RoleChange(at, victim, "removed", 0)
        case "fault" if fields.get("what") in {"pause", "paused", "resume", "resumed"}:
            role = "paused" if str(fields["what"]).startswith("pause") else RESUMED
            for name in fields.get("victims", ()):
                yield RoleChange(at, str(name), role, 0)


def _spans(changes: Sequence[RoleChange], until: float) -> list[RoleSpan]:
    spans: list[RoleSpan] = []
    role, term, began, before_pause = "", 0, 0.0, "follower"
    for change in changes:
        next_role, next_term = change.role, change.term or term
        if next_role == RESUMED:
            next_role = before_pause if role == "paused" else role
        elif next_role == FOLLOWING:
            next_role = "learner" if role == "learner" else "follower"
        if (next_role, next_term) == (role, term):
            continue
        if role and change.at > began:
            spans.append(RoleSpan(began, change.at, role, term))
        if next_role == "paused":
            before_pause = role or "follower"
        role, term, began = next_role, next_term, change.at
    if role:
        spans.append(RoleSpan(began, until, role, term))
    return spans


def _term(happening: Happening) -> int:
    term = happening.fields.get("term", 0)
    return term if isinstance(term, int) else 0


def _natural(name: str) -> tuple[int, str]:
    """n2 before n10."""
    return len(name), name
