"""NodeActor: what the five actors of a node share: the mailbox, and fail-stop.

The process is the unit of failure (DESIGN.md#failure): an actor that raises ends the process, and
recovery is a restart from disk. Refuses to know what any actor does.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self, cast

import pykka
from pykka._envelope import Envelope

from actors.language.errors import StorageError
from actors.runtime.mailbox import Mailbox
from cluster.logs import say_rest

EXIT_FAIL_STOP: Final = 70
"""The exit status of a node that stopped itself for a bug or a failed disk (EX_SOFTWARE)."""

log = logging.getLogger("leasehold")


Clock = Callable[[], int]
"""Monotonic milliseconds: `mailbox.monotonic_ms` in a node, its own clock in a simulation."""


class Address(Protocol):
    """Where messages for an actor go: its mailbox, a Pykka ActorRef, or a probe in a test."""

    def tell(self, message: Any) -> None:
        """Queue the message and return at once."""


class Ring(NamedTuple):
    """The addresses of a node's five actors; each actor tells only some of the others."""

    gateway: Address
    raft: Address
    store: Address
    lease: Address
    watch: Address


class Host(Protocol):
    """What runs actors: a Loop."""

    def add(self, actor: NodeActor) -> None:
        """Run this actor, too."""


def exit_process(reason: str) -> None:
    """Stop the whole process at once, and flush nothing: a restart trusts only the disk."""
    say_rest()
    log.critical("stopping the node: %s", reason)
    logging.shutdown()
    os._exit(EXIT_FAIL_STOP)


fail_stop: Callable[[str], None] = exit_process
"""What a failed actor calls; tests replace it, to see the failure and live."""


class NodeActor(pykka.ThreadingActor):
    """An actor whose inbox is a Mailbox, and whose failure stops the process.

    A loop runs it, together with the node's other actors. A subclass implements `open` (in the
    loop's thread: sockets, the first timer), `receive` (one match over the actor's messages),
    `settle` if it gathers messages, and `close` (give the sockets back).
    """

    ring: Ring
    _host: Host

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = cast(Mailbox, self.actor_inbox)

    def join(self, ring: Ring) -> None:
        """Learn the other actors' addresses; call it before `begin`."""
        self.ring = ring

    def begin(self, host: Host) -> pykka.ActorRef[Self]:
        """Let a host run an actor that was made as a plain object (Pykka's `start` does both).

        The five actors know each other, so all are made before the first one runs.
        """
        self._host = host
        pykka.ActorRegistry.register(self.actor_ref)
        self._start_actor_loop()
        return self.actor_ref

    def open(self) -> None:
        """Acquire what must belong to the loop's thread; by default nothing."""

    def receive(self, message: Any) -> None:
        """Handle one message."""
        raise NotImplementedError

    def settle(self) -> bool:
        """Act on what `receive` has gathered: no actor has a message left.

        True: others have been told something that is to be handled first; then settle again.
        """
        return False

    def close(self) -> None:
        """Release what `open` acquired; also called after a failure."""

    # --- as its host runs it ---

    def set_up(self) -> None:
        """Open; the first thing that is done in the loop's thread."""
        self._actor_loop_setup()

    def take(self, envelope: Envelope[Any]) -> None:
        """Handle what came by Pykka's ActorRef: a message, a question, or the request to stop."""
        try:
            answer = self._handle_receive(envelope.message)
        except Exception:  # as Pykka does: whoever asks is told
            if envelope.reply_to is None:
                raise
            envelope.reply_to.set_exception()
        else:
            if envelope.reply_to is not None:
                envelope.reply_to.set(answer)

    def fail(self) -> None:
        """Stop for the exception that is being handled."""
        error = sys.exception()
        if isinstance(error, OSError | StorageError):
            # A failed disk is no bug: one line says so, before Pykka can log a traceback.
            fail_stop(f"{type(self).__name__} cannot use its disk: {error}")
        self._handle_failure(*sys.exc_info())
        self.on_failure(*sys.exc_info())

    def tear_down(self) -> None:
        """Tell those who still wait for an answer that the actor has stopped."""
        self._actor_loop_teardown()

    # --- Pykka's hooks ---

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    def _start_actor_loop(self) -> None:
        self._host.add(self)

    def on_start(self) -> None:
        try:
            self.open()
        except Exception as error:  # Pykka would only log it and leave a dead actor
            log.critical("%s could not start", type(self).__name__, exc_info=True)
            fail_stop(f"{type(self).__name__} could not start: {error}")
            raise

    def on_receive(self, message: Any) -> Any:
        self.receive(message)

    def on_stop(self) -> None:
        self.close()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Pykka has logged the traceback before this. `fail` tells of a failed disk.
        if not isinstance(exception_value, OSError | StorageError):
            fail_stop(f"{type(self).__name__} failed: {exception_value!r}")
        self.close()
