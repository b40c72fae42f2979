"""What the checker explores: members that take inputs, one at a time, and say something.

A machine knows its members' states as hashable values. `of_cores.py` has the shipped cores,
`of_spec.py` the spec's own members; the checker treats both alike.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple, Protocol

from tests.spec.state import Member
from tests.spec.worlds import Limit, World


class Input(NamedTuple):
    """Something that happens to one member by itself; `costs` is what there is a limit to.

    A kind of "lose" is the input `argument` with a crash before its save.
    """

    kind: str
    argument: Any = None
    costs: tuple[Limit, ...] = ()


class Taken(NamedTuple):
    """What came of an input: the next state, what is said, and the reads that are served.

    `asked` is the id of a read that has begun, `facts` name what happened.
    """

    state: Hashable
    said: tuple[Hashable, ...] = ()
    served: tuple[int, ...] = ()
    asked: int | None = None
    facts: frozenset[str] = frozenset()


class Machine(Protocol):
    """The members of a world. A state is of one member; names are new ids for all of them."""

    world: World

    def begin(self) -> list[Hashable]:
        """The states in which all members begin, in the order of their ids."""

    def inputs(self, state: Any) -> list[Input]:
        """What may happen to a member by itself."""

    def take(self, state: Any, input_: Input) -> Taken | None:
        """Let an input happen; None: it cannot, or leads beyond the world's terms."""

    def hear(self, state: Any, message: Any, loses: bool = False) -> Taken | None:
        """Let a member hear a message, perhaps with a crash before what follows is saved."""

    def view(self, state: Any) -> Member:
        """A member as the invariants look at it."""

    def target(self, message: Any) -> int:
        """To whom a message goes."""

    def is_once_only(self, message: Any) -> bool:
        """Whether links never repeat such a message by themselves, and the receiver counts it."""

    def is_dead(self, state: Any, message: Any) -> bool:
        """Whether a member will never look at a message again."""

    def renamed(self, value: Any, names: Mapping[int, int]) -> Any:
        """A state, a message or a part of the history with other ids."""

    def tell(self, message: Any) -> str:
        """A message in a few words."""
