"""Explaining: sentences that are made of several happenings, one for each change.

Who fell silent or died, who noticed how, who asked whom for votes, who won; also without a death,
and also when it came to nothing. Pure: happenings in, lines out; times are seconds of the host's
monotonic clock. It refuses to know how long anybody was not served: that is measured elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from math import inf
from typing import Final, NamedTuple

from cluster.launcher.story.happenings import (
    CONNECTION,
    KILLED_SECONDS,
    LAUNCHER,
    REMOVED,
    TRANSFER,
    Happening,
)
from cluster.launcher.story.neighbours import NeighbourNews
from cluster.launcher.story.ordering import InOrder
from cluster.launcher.story.words import all_of

GATHER_SECONDS: Final = 0.1
"""What several nodes tell within this time about the same leader becomes one line."""

IN_VAIN_SECONDS: Final = 1.0
IN_VAIN_AGAIN_SECONDS: Final = 10.0
"""A node that asks for votes and is not elected within IN_VAIN_SECONDS gets a line, and the next at
most every IN_VAIN_AGAIN_SECONDS."""

NEAR_MISS_AGAIN_SECONDS: Final = 10.0
"""A node that hears its leader late again and again gets a line this often."""

SAME_SECONDS: Final = 2.0
"""A death, a suspicion and an election this near to each other belong together."""

HEALED: Final = "heal"
PAUSED: Final = "pause"
RESUMED: Final = "resume"
"""What is told of faults, beside the harm to links."""


class StoryLine(NamedTuple):
    """One sentence, and the happening that completed it. `about`: a word for the kind of change."""

    text: str
    about: str
    victims: tuple[str, ...]
    last: Happening


class _Asking(NamedTuple):
    """A node that asks for votes, from its first question on, and who has answered."""

    first: Happening
    granted: dict[str, None]
    refused: dict[str, str]


class Explaining:
    """What is known of the present change."""

    def __init__(self) -> None:
        self._order = InOrder()
        self._lines: list[StoryLine] = []
        self._neighbours = NeighbourNews()
        # What is known to be wrong, by node: in its process, and with its links.
        self._paused: dict[str, Happening] = {}
        self._cut: dict[str, str] = {}
        self._kill_at = -inf
        self._ended_at: dict[str, float] = {}
        self._handed_over_at: dict[str, float] = {}
        self._suspicions: dict[str, list[Happening]] = defaultdict(list)
        self._asking: dict[str, _Asking] = {}
        self._in_vain_at: dict[str, float] = {}
        self._near_miss_at: dict[str, float] = {}
        self._removed: set[str] = set()
        self._learners: set[str] = set()
        self._elected: dict[str, int] = {}
        self._leader_said: Happening | None = None

    @property
    def due(self) -> float:
        """When `take` may have more to say."""
        dues = [self._order.due, self._neighbours.due]
        dues += [group[0].at + GATHER_SECONDS for group in self._suspicions.values()]
        dues += [self._vain_due(node, asking) for node, asking in self._asking.items()]
        if self._leader_said is not None:
            dues.append(self._leader_said.at + GATHER_SECONDS)
        return min(dues)

    def hear(self, happening: Happening) -> None:
        """Something has happened: it is heard a moment later, in the order of time."""
        self._order.add(happening)

    def take(self, now: float) -> list[StoryLine]:
        """The lines that are complete by now."""
        for happening in self._order.take(now):
            self._say_what_is_complete(happening.at)
            if happening.source == LAUNCHER:
                self._hear_launcher(happening)
            else:
                self._hear_node(happening)
        self._say_what_is_complete(now)
        lines, self._lines = self._lines, []
        return lines

    # --- what is heard ------------------------------------------------------------------------

    def _hear_launcher(self, happening: Happening) -> None:
        fields = happening.fields
        match happening.kind:
            case "command" if fields["line"].split()[:1] == ["kill"]:
                self._kill_at = happening.at
            case "died":
                self._note_end(fields["victim"], happening.at)
            case "launched":
                self._ended_at.pop(fields["victim"], None)
            case "member" if fields["what"] == REMOVED:
                self._removed.add(fields["victim"])
            case "fault":
                self._note_fault(happening)
            case "leader":
                self._leader_said = happening

    def _note_end(self, node: str, at: float) -> None:
        self._ended_at.setdefault(node, at)
        self._paused.pop(node, None)
        self._asking.pop(node, None)

    def _note_fault(self, happening: Happening) -> None:
        victims, what = happening.fields["victims"], happening.fields["what"]
        if what == HEALED:
            for victim in victims or list(self._cut):
                self._cut.pop(victim, None)
        for victim in victims:
            if what == RESUMED:
                self._paused.pop(victim, None)
            elif what == PAUSED:
                self._paused[victim] = happening
            elif what != HEALED:
                # By how much it is slow was said before.
                self._cut[victim] = happening.text.partition(":")[0]

    def _hear_node(self, happening: Happening) -> None:
        fields, node = happening.fields, happening.source
        if node in self._removed or fields.get("peer") in self._removed:
            return  # it hears no other member any more, and that is as it should be
        paused = self._paused.get(node)
        if paused is not None and happening.at > paused.at:
            del self._paused[node]  # it goes on: the launcher will know in a moment
        match happening.kind:
            case "stopping":
                self._note_end(node, happening.at)
            case "suspected":
                if fields["how"] == TRANSFER:
                    self._handed_over_at[fields["leader"]] = happening.at
                self._suspicions[fields["leader"]].append(happening)
            case "asked_for_votes":
                self._asking.setdefault(node, _Asking(happening, {}, {}))
            case "voted" if (asking := self._asking.get(fields["candidate"])) is not None:
                if fields["granted"]:
                    asking.granted[node] = None
                    asking.refused.pop(node, None)
                else:
                    asking.refused[node] = fields["why"]
            case "elected":
                self._say_elected(happening)
            case "follows":
                self._asking.pop(node, None)
            case "stepped_down":
                self._say_stepped_down(happening)
            case "peer_lost" if not self._is_explained(happening):
                self._neighbours.lost(happening)
            case "peer_found" if fields["away_ms"] is not None:
                self._neighbours.found(happening)
            case "near_miss":
                self._say_near_miss(happening)
            case "role":
                self._note_role(happening)

    def _is_explained(self, lost: Happening) -> bool:
        """Whether the other's end says it all."""
        ended_at = self._ended_at.get(lost.fields["peer"], -inf)
        return abs(lost.at - ended_at) < SAME_SECONDS

    def _note_role(self, happening: Happening) -> None:
        node, role = happening.source, happening.fields["role"]
        if role == "learner":
            self._learners.add(node)
        elif node in self._learners:
            self._learners.discard(node)
            self._say(f"{node} has a vote now: it was a learner", "member", [node], happening)

    # --- what is said -------------------------------------------------------------------------

    def _say(self, text: str, about: str, victims: Iterable[str], last: Happening) -> None:
        self._lines.append(StoryLine(text, about, tuple(victims), last))

    def _say_what_is_complete(self, now: float) -> None:
        for leader, group in list(self._suspicions.items()):
            if group[0].at + GATHER_SECONDS <= now:
                self._say_suspicion(leader)
        for change in self._neighbours.take(now, self._ended_at):
            because = self._because(*change.nodes)
            self._say(change.text + because, "member", change.nodes, change.last)
        for node, asking in list(self._asking.items()):
            if self._vain_due(node, asking) <= now:
                self._say_in_vain(node, asking, now)
        said = self._leader_said
        if said is not None and said.at + GATHER_SECONDS <= now:
            self._leader_said = None
            self._say_leader(said)

    def _say_suspicion(self, leader: str) -> None:
        by_way: dict[str, list[Happening]] = defaultdict(list)
        for happening in self._suspicions.pop(leader):
            by_way[happening.fields["how"]].append(happening)
        for how, told in by_way.items():
            sources = [happening.source for happening in told]
            names = all_of(sources)
            if how == TRANSFER:
                stops = " stops, and" if leader in self._ended_at else ""
                text = f"{leader}{stops} hands over: it tells {names} to ask for votes at once"
            elif how == CONNECTION:
                broke = "its connection" if len(told) == 1 else "their connections"
                text = f"{names} took {leader} for lost{self._delays(leader, told)}: {broke} broke"
            else:
                silent = all_of(f"{happening.fields['silent_ms']:.0f}" for happening in told)
                text = f"{names} took {leader} for lost: nothing was heard from it for {silent} ms"
            self._say(text + self._because(leader, *sources), "leader", [leader], told[-1])

    def _delays(self, leader: str, told: Iterable[Happening]) -> str:
        """How long after the leader's end they noticed it, as far as that is known."""
        ended_at, word = self._ended_at.get(leader), "its end"
        if ended_at is not None and 0 < ended_at - self._kill_at < KILLED_SECONDS:
            ended_at, word = self._kill_at, "the kill"
        delays_ms = [1000 * (happening.at - (ended_at or inf)) for happening in told]
        if min(delays_ms) < 0:
            return ""  # the launcher has seen it later than they
        return f" {all_of(f'{delay_ms:.1f}' for delay_ms in delays_ms)} ms after {word}"

    def _say_elected(self, happening: Happening) -> None:
        node, fields = happening.source, happening.fields
        self._elected[node] = fields["term"]
        for leader in list(self._suspicions):
            self._say_suspicion(leader)
        asking = self._asking.pop(node, None)
        voters = [name for name in fields["votes"] if name != node]
        parts = [f"{all_of(voters)} voted for it" if voters else "no other vote was needed"]
        if asking is not None:
            took_ms = 1000 * (happening.at - asking.first.at)
            parts.append(f"it was elected {took_ms:.0f} ms after it asked")
        others = [
            name
            for name, other in self._asking.items()
            if other.first.at > happening.at - SAME_SECONDS
        ]
        if others:
            parts.append(f"{all_of(others)} had asked, too")
        self._asking.clear()
        self._in_vain_at.clear()
        text = f"{node} leads now (term {fields['term']}): {', '.join(parts)}"
        self._say(text, "leader", [node], happening)

    def _say_leader(self, happening: Happening) -> None:
        """The launcher sees a leader; nothing is to be said if that one has told it itself."""
        leader, term = happening.fields["leader"], happening.fields["term"]
        if leader is not None and self._elected.get(leader) != term:
            self._elected[leader] = term
            self._say(f"{leader} leads (term {term})", "leader", [leader], happening)

    def _say_stepped_down(self, happening: Happening) -> None:
        node, fields = happening.source, happening.fields
        if happening.at - self._handed_over_at.get(node, -inf) < SAME_SECONDS:
            return  # that it hands over was said
        text = f"{node} leads no longer (term {fields['term']}): {fields['why']}"
        self._say(text + self._because(node), "leader", [node], happening)

    def _vain_due(self, node: str, asking: _Asking) -> float:
        again = self._in_vain_at.get(node, -inf) + IN_VAIN_AGAIN_SECONDS
        return max(asking.first.at + IN_VAIN_SECONDS, again)

    def _say_in_vain(self, node: str, asking: _Asking, now: float) -> None:
        self._in_vain_at[node] = now
        answers = [f"{name} refuses: {why}" for name, why in asking.refused.items()]
        granted = [name for name in asking.granted if name != node]
        if granted:
            answers.append(f"{all_of(granted)} would vote for it")
        text = f"{node} asks for votes in vain: {'; '.join(answers) or 'nobody answers'}"
        self._say(text + self._because(node), "leader", [node], asking.first)

    def _say_near_miss(self, happening: Happening) -> None:
        fields, node = happening.fields, happening.source
        if happening.at - self._near_miss_at.get(node, -inf) < NEAR_MISS_AGAIN_SECONDS:
            return
        self._near_miss_at[node] = happening.at
        text = (
            f"{node} heard nothing from its leader {fields['leader']} for"
            f" {fields['silent_ms']:.0f} ms: after {fields['timeout_ms']:.0f} ms it would have"
            " asked for votes"
        )
        because = self._because(fields["leader"], node)
        self._say(text + because, "near_miss", [node], happening)

    def _because(self, *nodes: str) -> str:
        """What is known to be wrong with these nodes, in parentheses."""
        why = [f"{node} is paused" for node in nodes if node in self._paused]
        why += [self._cut[node] for node in nodes if node in self._cut]
        return f" ({', '.join(dict.fromkeys(why))})" if why else ""
