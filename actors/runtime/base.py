"""NodeActor: what the five actors of a node share - the mailbox, fail-stop, a safe send.

The process is the unit of failure (DESIGN.md#failure): an actor that raises takes the process with
it, and recovery is a restart from disk. Knows nothing of what any actor does.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self, cast

import pykka

from actors.language.errors import StorageError
from actors.runtime.mailbox import Mailbox

EXIT_FAIL_STOP: Final = 70
"""The exit status of a node that stopped itself because of a bug or a failed disk (EX_SOFTWARE)."""

log = logging.getLogger("leasehold")

Clock = Callable[[], int]
"""Monotonic milliseconds: `mailbox.monotonic_ms` in a node, its own clock in a simulation."""


class Address(Protocol):
    """Where messages for an actor go: a Pykka ActorRef, or a probe in a test."""

    def tell(self, message: Any) -> None:
        """Queue the message and return at once."""


class Ring(NamedTuple):
    """The addresses of a node's five actors; each tells only those its messages go to."""

    gateway: Address
    raft: Address
    store: Address
    lease: Address
    watch: Address


def exit_process(reason: str) -> None:
    """Stop the whole process at once, without flushing or unwinding: disk is the truth."""
    log.critical("stopping the node: %s", reason)
    logging.shutdown()
    os._exit(EXIT_FAIL_STOP)


fail_stop: Callable[[str], None] = exit_process
"""What a failed actor does; tests replace it to see the failure instead of dying of it."""


def send(address: Address, message: Any) -> None:
    """Tell, or do nothing when the addressee has already stopped (a node that is shutting down)."""
    try:
        address.tell(message)
    except pykka.ActorDeadError:
        log.debug("dropped %s: its addressee has stopped", type(message).__name__)


class NodeActor(pykka.ThreadingActor):
    """An actor whose inbox is a Mailbox and whose failure stops the process.

    Subclasses implement `open` (in the actor's thread: sockets, first timer), `receive` (one match
    over the actor's messages) and `close` (give sockets back).
    """

    use_daemon_thread = True
    ring: Ring

    def join(self, ring: Ring) -> None:
        """Learn the neighbours' addresses; before `begin`, and before any message is handled."""
        self.ring = ring

    def begin(self) -> pykka.ActorRef[Self]:
        """Start the thread of an actor that was made as a plain object (Pykka's `start` does both).

        The five actors know each other, so all are made before the first one runs.
        """
        pykka.ActorRegistry.register(self.actor_ref)
        self._start_actor_loop()
        return self.actor_ref

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    @property
    def mailbox(self) -> Mailbox:
        """The actor's own inbox."""
        return cast(Mailbox, self.actor_inbox)

    def open(self) -> None:
        """Acquire what must belong to the actor's thread. The default needs nothing."""

    def receive(self, message: Any) -> None:
        """Handle one message."""
        raise NotImplementedError

    def close(self) -> None:
        """Release what `open` acquired; also called after a failure."""

    # --- Pykka's hooks ---

    def on_start(self) -> None:
        try:
            self.open()
        except Exception as error:  # Pykka would only log it and leave a dead actor
            log.critical("%s could not start", type(self).__name__, exc_info=True)
            fail_stop(f"{type(self).__name__} could not start: {error}")
            raise

    def on_receive(self, message: Any) -> Any:
        try:
            self.receive(message)
        except (OSError, StorageError) as error:
            # No fault of the program: said in a line, before Pykka logs a traceback.
            fail_stop(f"{type(self).__name__} cannot use its disk: {error}")
            raise

    def on_stop(self) -> None:
        self.close()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Pykka has logged the traceback before it calls this hook. A failed disk was said already.
        if not isinstance(exception_value, OSError | StorageError):
            fail_stop(f"{type(self).__name__} failed: {exception_value!r}")
        self.close()
