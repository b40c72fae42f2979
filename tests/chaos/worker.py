"""What all clients of a campaign share: a thread that works until it is stopped, and records.

Knows where the nodes are, and what an error says of the outcome; not what is read or written.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Final

from cluster import (
    Client,
    DeadlineExceededError,
    LeaseNotFoundError,
    OutcomeUnknownError,
    ResourceExhaustedError,
    UnavailableError,
)
from cluster.client.results import Header
from tests.chaos.history import History, padded
from tests.chaos.users import Entry
from tests.linearizability import Operation, Outcome

REQUEST_SECONDS: Final = 4.0
PAUSE_SECONDS: Final = 0.02
"""Each client waits for about so long between two requests."""

PAD_BYTES_MAX: Final = 3_000

WATCH_AGAIN_SECONDS: Final = 7.0
"""After this time a watch is opened anew."""

HARMLESS: Final = (DeadlineExceededError, UnavailableError, ResourceExhaustedError)
"""Failures that a cluster in trouble may answer with; by their documentation without effect."""

Answer = tuple[Header, dict[str, Any]]


class Members:
    """Where the nodes are, and how to come in; `generation` counts the changes.

    `sealed` are the nodes themselves with their keys, if they have keys.
    """

    def __init__(self, endpoints: Sequence[str], entry: Entry) -> None:
        self.entry = entry
        self.endpoints = tuple(endpoints)
        self.sealed: tuple[str, ...] = ()
        self.generation = 0

    def update(self, endpoints: Sequence[str]) -> bool:
        """Note where the nodes are now; whether that is news."""
        changed = tuple(endpoints) != self.endpoints
        if changed:
            self.endpoints = tuple(endpoints)
            self.generation += 1
        return changed


class Worker(threading.Thread):
    """A thread that does `work` again and again until it is stopped."""

    def __init__(self, name: str, members: Members, history: History, seed: str) -> None:
        super().__init__(daemon=True, name=name)
        self.history = history
        self.error: BaseException | None = None
        self.chance = random.Random(f"{seed} {name}")
        self.members = members
        self.stopping = threading.Event()
        self._counter = itertools.count(1)
        self._client: Client | None = None
        self._generation = -1

    def work(self) -> None:
        """One piece of work."""
        raise NotImplementedError

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.work()
        except BaseException as error:  # the main thread looks for it, and raises it
            self.error = error
            if not isinstance(error, AssertionError):
                raise
        finally:
            self.close()

    def close(self) -> None:
        """Release what the work needed."""
        if self._client is not None:
            self._client.close()

    def pause(self) -> None:
        """Wait a little, less when it is stopped."""
        self.stopping.wait(self.chance.uniform(0, 2 * PAUSE_SECONDS))

    def client(self) -> Client:
        """A client of the nodes there are now."""
        if self._client is None or self._generation != self.members.generation:
            if self._client is not None:
                self._client.close()
            self._generation = self.members.generation
            members = self.members
            ways = [members.endpoints, members.sealed] if members.sealed else [members.endpoints]
            endpoints = list(self.chance.choice(ways))
            self.chance.shuffle(endpoints)
            self._client = members.entry.client(endpoints, REQUEST_SECONDS)
        return self._client

    def new_value(self) -> tuple[str, bytes]:
        """A value that was never written before: its name, and its bytes."""
        name = f"{self.name}.{next(self._counter)}"
        pad = self.chance.choice((0, 0, self.chance.randrange(PAD_BYTES_MAX)))
        return name, padded(name, pad)

    def do(self, operation: Operation, call: Callable[[], Answer]) -> Operation:
        """Do and record one operation; what it returned fills in what is not known before."""
        began = time.monotonic()
        try:
            header, facts = call()
        except OutcomeUnknownError:
            done = operation._replace(began=began, ended=inf, outcome=Outcome.UNKNOWN)
        except (*HARMLESS, LeaseNotFoundError):
            ended = time.monotonic()
            done = operation._replace(began=began, ended=ended, outcome=Outcome.FAILED)
        else:
            ended = time.monotonic()
            done = operation._replace(
                began=began, ended=ended, outcome=Outcome.OK, revision=header.revision, **facts
            )
        self.history.add(done)
        return done

    def intent(self, op: str, key: str, **facts: Any) -> Operation:
        """An operation that is about to begin."""
        return Operation(self.name, op, key, 0, inf, Outcome.UNKNOWN, **facts)
