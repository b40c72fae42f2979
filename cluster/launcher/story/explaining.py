"""Explaining: sentences that are made of several happenings, one for each change.

Who fell silent or died, who noticed how, who asked whom for votes, who won; also without a death,
and also when it came to nothing. Pure: happenings in, lines out; times are seconds of the host's
monotonic clock. It refuses to know how long anybody was not served: that is measured elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import inf
from typing import Any, Final, NamedTuple

from cluster.launcher.story.happenings import LAUNCHER, Happening

GATHER_SECONDS: Final = 0.1
"""What several nodes tell within this time about the same thing becomes one line."""

IN_VAIN_SECONDS: Final = 1.0
IN_VAIN_AGAIN_SECONDS: Final = 10.0
"""A node that asks for votes and is not elected within IN_VAIN_SECONDS gets a line, and the next at
most every IN_VAIN_AGAIN_SECONDS."""

SAME_SECONDS: Final = 2.0
"""A death, a suspicion and an election this near to each other belong together."""

CONNECTION: Final = "connection"
TIMEOUT: Final = "timeout"
TRANSFER: Final = "transfer"
"""How a node notices that another one is lost."""


class Line(NamedTuple):
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
        self._lines: list[Line] = []
        self._ailing: dict[str, str] = {}
        self._died: dict[str, Happening] = {}
        self._suspicions: dict[str, list[Happening]] = defaultdict(list)
        self._lost: dict[str, list[Happening]] = defaultdict(list)
        self._found: dict[str, list[Happening]] = defaultdict(list)
        self._asking: dict[str, _Asking] = {}
        self._in_vain_at: dict[str, float] = {}
        self._learners: set[str] = set()
        self._elected: dict[str, int] = {}
        self._leader_said: Happening | None = None

    @property
    def due(self) -> float:
        """When `take` may have more to say."""
        gathered = [*self._suspicions.values(), *self._lost.values(), *self._found.values()]
        dues = [group[0].at + GATHER_SECONDS for group in gathered]
        dues += [self._vain_due(node, asking) for node, asking in self._asking.items()]
        if self._leader_said is not None:
            dues.append(self._leader_said.at + GATHER_SECONDS)
        return min(dues, default=inf)

    def hear(self, happening: Happening) -> None:
        """Something has happened."""
        if happening.source == LAUNCHER:
            self._hear_launcher(happening)
        else:
            self._hear_node(happening)

    def take(self, now: float) -> list[Line]:
        """The lines that are complete by now."""
        for leader in _complete(self._suspicions, now):
            self._say_suspicion(leader)
        for peer in _complete(self._lost, now):
            self._say_lost(peer)
        for peer in _complete(self._found, now):
            self._say_found(peer)
        for node, asking in list(self._asking.items()):
            if self._vain_due(node, asking) <= now:
                self._say_in_vain(node, asking, now)
        said = self._leader_said
        if said is not None and said.at + GATHER_SECONDS <= now:
            self._leader_said = None
            self._say_leader(said)
        lines, self._lines = self._lines, []
        return lines

    # --- what is heard ------------------------------------------------------------------------

    def _hear_launcher(self, happening: Happening) -> None:
        fields = happening.fields
        match happening.kind:
            case "died":
                self._died[fields["victim"]] = happening
                self._ailing.pop(fields["victim"], None)
                self._asking.pop(fields["victim"], None)
            case "launched":
                self._died.pop(fields["victim"], None)
            case "fault":
                self._note_fault(happening)
            case "leader":
                self._leader_said = happening

    def _note_fault(self, happening: Happening) -> None:
        victims, what = happening.fields["victims"], happening.fields["what"]
        if what.startswith(("resume", "heal")):
            for victim in victims or list(self._ailing):
                self._ailing.pop(victim, None)
            return
        for victim in victims:
            self._ailing[victim] = f"{victim} is paused" if what == "pause" else happening.text

    def _hear_node(self, happening: Happening) -> None:
        fields, node = happening.fields, happening.source
        match happening.kind:
            case "suspected":
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
                why = f"{node} leads no longer (term {fields['term']}): {fields['why']}"
                self._say(why + self._because(node), "leader", [node], happening)
            case "peer_lost":
                self._lost[fields["peer"]].append(happening)
            case "peer_found" if fields["away_ms"] is not None:
                self._found[fields["peer"]].append(happening)
            case "near_miss":
                self._say_near_miss(happening)
            case "role":
                self._note_role(happening)

    def _note_role(self, happening: Happening) -> None:
        node, role = happening.source, happening.fields["role"]
        if role == "learner":
            self._learners.add(node)
        elif node in self._learners:
            self._learners.discard(node)
            self._say(f"{node} has a vote now: it was a learner", "member", [node], happening)

    # --- what is said -------------------------------------------------------------------------

    def _say(self, text: str, about: str, victims: Iterable[str], last: Happening) -> None:
        self._lines.append(Line(text, about, tuple(victims), last))

    def _say_suspicion(self, leader: str) -> None:
        group = sorted(self._suspicions.pop(leader), key=lambda happening: happening.at)
        by_way: dict[str, list[Happening]] = defaultdict(list)
        for happening in group:
            by_way[happening.fields["how"]].append(happening)
        died = self._died.get(leader)
        for how, told in by_way.items():
            names = [happening.source for happening in told]
            if how == TRANSFER:
                text = f"{leader} hands over: it tells {_and(names)} to ask for votes at once"
                self._say(text, "leader", [leader], told[-1])
                continue
            text = f"{_and(names)} took {leader} for lost"
            if died is not None:
                after = [max(0.0, 1000 * (happening.at - died.at)) for happening in told]
                text += f" {_and([f'{ms:.1f}' for ms in after])} ms after its end was seen"
            if how == CONNECTION:
                text += ": its connection broke" if len(told) == 1 else ": their connections broke"
            else:
                silent = [f"{happening.fields['silent_ms']:.0f}" for happening in told]
                text += f": nothing was heard from it for {_and(silent)} ms"
            self._say(text + self._because(leader), "leader", [leader], told[-1])

    def _say_elected(self, happening: Happening) -> None:
        node, fields = happening.source, happening.fields
        self._elected[node] = fields["term"]
        for leader in list(self._suspicions):
            self._say_suspicion(leader)
        asking = self._asking.pop(node, None)
        voters = [name for name in fields["votes"] if name != node]
        text = f"{node} leads now (term {fields['term']})"
        parts = [f"{_and(voters)} voted for it" if voters else "no other vote was needed"]
        if asking is not None:
            took_ms = 1000 * (happening.at - asking.first.at)
            parts.append(f"it was elected {took_ms:.0f} ms after it asked")
        others = [name for name in self._asking if self._asking[name].first.at > happening.at - 5]
        if others:
            parts.append(f"{_and(others)} had asked, too")
        self._asking.clear()
        self._in_vain_at.clear()
        self._say(f"{text}: {', '.join(parts)}", "leader", [node], happening)

    def _say_leader(self, happening: Happening) -> None:
        """The launcher sees a leader; nothing is to be said if that one has told it itself."""
        leader, term = happening.fields["leader"], happening.fields["term"]
        if leader is not None and self._elected.get(leader) != term:
            self._elected[leader] = term
            self._say(f"{leader} leads (term {term})", "leader", [leader], happening)

    def _vain_due(self, node: str, asking: _Asking) -> float:
        again = self._in_vain_at.get(node, -inf) + IN_VAIN_AGAIN_SECONDS
        return max(asking.first.at + IN_VAIN_SECONDS, again)

    def _say_in_vain(self, node: str, asking: _Asking, now: float) -> None:
        self._in_vain_at[node] = now
        answers = [f"{name} refuses: {why}" for name, why in asking.refused.items()]
        granted = [name for name in asking.granted if name != node]
        if granted:
            answers.append(f"{_and(granted)} would vote for it")
        text = f"{node} asks for votes in vain: {'; '.join(answers) or 'nobody answers'}"
        self._say(text + self._because(node), "leader", [node], asking.first)

    def _say_lost(self, peer: str) -> None:
        group = self._lost.pop(peer)
        names = [happening.source for happening in group]
        died = self._died.get(peer)
        if died is not None and abs(group[0].at - died.at) < SAME_SECONDS:
            return  # that it died says it all
        if any(happening.fields["how"] == CONNECTION for happening in group):
            text = f"the connections of {_and(names)} to {peer} broke"
        else:
            text = f"{peer} does not answer {_and(names)} any more"
        self._say(text + self._because(peer), "member", [peer], group[-1])

    def _say_found(self, peer: str) -> None:
        group = self._found.pop(peer)
        names = [happening.source for happening in group]
        away_ms = max(happening.fields["away_ms"] for happening in group)
        text = f"{_and(names)} {'hears' if len(names) == 1 else 'hear'} {peer} again"
        self._say(f"{text}, after {away_ms / 1000:.1f} s", "member", [peer], group[-1])

    def _say_near_miss(self, happening: Happening) -> None:
        fields, node = happening.fields, happening.source
        text = (
            f"{node} heard nothing from its leader {fields['leader']} for"
            f" {fields['silent_ms']:.0f} ms: after {fields['timeout_ms']:.0f} ms it would have"
            " asked for votes"
        )
        self._say(text + self._because(fields["leader"]), "near_miss", [node], happening)

    def _because(self, name: str) -> str:
        """What is known to be wrong with a node, in parentheses."""
        why = self._ailing.get(name)
        return f" ({why})" if why else ""


def _complete(groups: dict[str, list[Happening]], now: float) -> list[str]:
    """Whose group need not wait for more."""
    return [name for name, group in groups.items() if group[0].at + GATHER_SECONDS <= now]


def _and(words: Sequence[Any]) -> str:
    """`n1`, `n1 and n2`, `n1, n2 and n3`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else str(last)
