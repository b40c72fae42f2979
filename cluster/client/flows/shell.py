"""What flows need of the shell that carries them: to ask the cluster, to wait, and to be told.

There are two shells: in `threads`, a wait blocks the thread; in `aio`, it suspends the task. Flows
are `async` functions in both. Those of a threaded client never suspend, so its shell runs each of
them to its end at once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol, Self, TypeVar

from cluster.client.engine.call import Call
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.core import Core
from cluster.client.engine.leaving import Regret
from cluster.client.engine.notices import Notice
from cluster.client.engine.states import ConnectionState
from cluster.client.heartbeats import Heartbeats
from cluster.client.identity import ClientIdentity
from cluster.client.replies import Reply
from cluster.errors import LeaseholdError

if TYPE_CHECKING:
    # For types only: a program without event loop, or without TLS, should not pay for an import.
    from asyncio import Future

T = TypeVar("T")
Item = TypeVar("Item")
Action = Callable[[Core, float], None]
Tell = Callable[[Callable[[], None]], None]
Changed = Callable[[ConnectionState, Tell], None]

ANSWER_GRACE_SECONDS: Final = 10.0
"""The engine ends each call at its timeout. A caller that waits this much longer gives up on the
engine's carrier itself."""


class Subscriber(NamedTuple):
    """The owner of a watch or of a lease that is renewed: the engine's notices go to it.

    `notice` takes a notice; False: the watch is to pause, because too many events are not taken. It
    is called by the carrier of the engine (the I/O thread, the event loop), so it must not wait.
    `abort`: no more notices will come, for this reason; called in any thread.
    `orphan`: this process is a forked child, so the watch or lease is the parent's: raise this
    error. It must take no lock that existed before the fork. A thread of the parent may have held
    it, and that thread, which would release it, does not exist in the child.
    """

    notice: Callable[[Notice], bool]
    abort: Callable[[LeaseholdError], None]
    orphan: Callable[[LeaseholdError], None]


class Connection(Protocol):
    """A running engine with its sockets."""

    async def ask(self, call: Call, regret: Regret | None = None) -> Reply:
        """Send a call and wait for its reply, or raise its error.

        If the caller stops waiting (a cancellation, Ctrl-C) and the call is done nevertheless,
        `regret` makes the request that takes back what it did.
        """

    def begin(self, call: Call, decode: Callable[[Reply], T]) -> Future[T]:
        """Send a call and return at once; a threaded shell's future is one of its own kind."""

    async def outcome(self, future: Future[T]) -> T:
        """Wait for the result of a call that was begun."""

    def run(self, action: Action) -> None:
        """Have the carrier of the engine call an action with it, soon."""

    def attach(self, subscriber: Subscriber) -> int:
        """Give a watch or a lease its number; notices of this number go to the subscriber."""

    def detach(self, number: int) -> None:
        """No more notices under this number."""

    def tell(self, told: Callable[[], None]) -> None:
        """Call a function of the program soon: one after the other, where it may take its time."""

    async def give_back(self) -> None:
        """End the watches, and the leases that are renewed: their holders are told first. Waits a
        moment for that, but not where the engine's carrier itself asks for it."""

    def close(self) -> None:
        """End every call and watch, and close the sockets."""

    def orphan(self, reason: str) -> None:
        """In a forked child: end the calls and watches that the parent began, and touch nothing
        that it still uses."""


class Arrivals(Protocol[Item]):
    """A queue from the carrier of the engine to the program."""

    def put(self, item: Item) -> None:
        """Add an item; never waits."""

    async def get(self, timeout: float | None) -> Item:
        """Take an item; TimeoutError after `timeout` seconds."""


class Turnstile(Protocol):
    """Lets one thread, or one task, in at a time."""

    kind: ClassVar[str]
    """What it lets in: "thread" or "task"."""

    async def enter(self, timeout: float | None = None) -> bool:
        """Wait to be let in, for at most `timeout` seconds; whether that happened."""

    def leave(self) -> None:
        """Let the next one in."""

    @property
    def is_taken(self) -> bool:
        """Whether somebody is inside."""

    @property
    def is_own(self) -> bool:
        """Whether the one inside is the thread, or task, that asks."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...


class Signal(Protocol):
    """An event that stays set."""

    def set(self) -> None:
        """Set it, and wake all who wait."""

    def is_set(self) -> bool:
        """Whether it was set."""

    async def wait(self, timeout: float) -> bool:
        """Wait until it is set, for at most `timeout` seconds; whether it is set."""


class Shell(Protocol):
    """Makes connections, and what flows wait on. One client has it."""

    starting: AbstractContextManager[Any]
    """Entered by the one that starts or ends the client's connection."""

    def connect(
        self,
        addresses: Mapping[str, str],
        options: CallOptions,
        direct: Mapping[str, str],
        changed: Changed,
        identity: ClientIdentity,
        heartbeats: Heartbeats,
    ) -> Connection:
        """Start an engine with its sockets; its carrier calls `changed` with each new state,
        and with the way to tell the program. `identity` is what it shows the nodes."""

    def arrivals(self) -> Arrivals[Any]:
        """A new, empty queue."""

    def turnstile(self) -> Turnstile:
        """A new turnstile, with nobody inside."""

    def signal(self) -> Signal:
        """A new signal, which is not set."""

    def guard(self) -> AbstractContextManager[Any]:
        """A block that one thread is in at a time, for a moment."""

    async def sleep(self, seconds: float) -> None:
        """Wait for a time."""

    async def see_through(self, flow: Coroutine[Any, Any, T]) -> T:
        """Run a flow that gives something back; it goes on to its end even if its caller is
        cancelled meanwhile."""

    async def at_rest(self) -> None:
        """Wait for the flows that outlived their callers."""

    def forked(self) -> None:
        """This process is a forked child."""
