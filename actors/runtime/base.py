"""NodeActor: what the five actors of a node share: the mailbox, fail-stop, and a safe send.

The process is the unit of failure (DESIGN.md#failure): an actor that raises ends the process, and
recovery is a restart from disk. Refuses to know what any actor does.
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
"""The exit status of a node that stopped itself for a bug or a failed disk (EX_SOFTWARE)."""

log = logging.getLogger("leasehold")

Clock = Callable[[], int]
"""Monotonic milliseconds: `mailbox.monotonic_ms` in a node, its own clock in a simulation."""


class Address(Protocol):
    """Where messages for an actor go: a Pykka ActorRef, or a probe in a test."""

    def tell(self, message: Any) -> None:
        """Queue the message and return at once."""


class Ring(NamedTuple):
    """The addresses of a node's five actors; each actor tells only some of the others."""

    gateway: Address
    raft: Address
    store: Address
    lease: Address
    watch: Address


def exit_process(reason: str) -> None:
    """Stop the whole process at once, and flush nothing: a restart trusts only the disk."""
    log.critical("stopping the node: %s", reason)
    logging.shutdown()
    os._exit(EXIT_FAIL_STOP)


fail_stop: Callable[[str], None] = exit_process
"""What a failed actor calls; tests replace it, to see the failure and live."""


def send(address: Address, message: Any) -> None:
    """Tell a message; drop it if its actor has stopped already, as in a node that shuts down."""
    try:
        address.tell(message)
    except pykka.ActorDeadError:
        log.debug("dropped %s: its addressee has stopped", type(message).__name__)


class NodeActor(pykka.ThreadingActor):
    """An actor whose inbox is a Mailbox, and whose failure stops the process.

    A subclass implements `open` (in the actor's thread: sockets, the first timer), `receive` (one
    match over the actor's messages) and `close` (give the sockets back).
    """

    use_daemon_thread = True
    ring: Ring

    def join(self, ring: Ring) -> None:
        """Learn the other actors' addresses; call it before `begin`."""
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
        """Acquire what must belong to the actor's thread; by default nothing."""

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
            # A failed disk is no bug: one line says so, before Pykka can log a traceback.
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
        # Pykka logs the traceback before it calls this hook. `on_receive` tells of a failed disk.
        if not isinstance(exception_value, OSError | StorageError):
            fail_stop(f"{type(self).__name__} failed: {exception_value!r}")
        self.close()
