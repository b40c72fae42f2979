"""Where a member's consensus runs: what its RaftActor is given at its start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from actors.raft.keyring import KeySource
from actors.raft.outcome import Ending
from actors.raft.seams import Links


class LogRetention(NamedTuple):
    """How much of the log stays in memory and on disk for members that lag a little."""

    entries: int
    bytes: int


class Polling(Protocol):
    """Where the peers' sockets are attached: the actor's mailbox."""

    def attach(self, source: Any, wrap: Callable[[tuple[Any, ...]], Any]) -> None:
        """Poll a source's sockets from now on; `wrap` makes one message of the input at a look."""

    def tell(self, message: Any) -> None:
        """Tell the actor something; any thread may."""

    def refresh(self) -> None:
        """Poll the sockets that the sources have now."""


class Surroundings(NamedTuple):
    """Where a member's consensus runs.

    `open_links` attaches the peers' sockets to a mailbox. Peers reach this member at `own_urls`;
    the operator has given `asked_urls` for the others. `random_bits` gives bits that nobody can
    guess. `on_ending` is called with the reason once this member must stop. `clock_ns` measures the
    round trips to the others; None: they are not measured. `names` are the members' by their flags.
    `keys` is called when the links are open; None: the members of this cluster have no keys.
    """

    open_links: Callable[[Polling], Links]
    own_urls: tuple[str, ...]
    asked_urls: Sequence[str]
    random_bits: Callable[[int], int]
    on_ending: Callable[[Ending], None]
    clock_ns: Callable[[], int] | None = None
    names: Mapping[int, str] = {}
    keys: Callable[[], KeySource] | None = None
