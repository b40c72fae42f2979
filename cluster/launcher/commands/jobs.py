"""Jobs: what a client does in threads of its own, while the main loop goes on.

A job is a function that gets a Client and may block. What it yields is delivered to the main loop,
which alone touches the launcher's objects. This module refuses to know what jobs are for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from cluster.client.waker import Waker
from cluster.errors import LeaseholdError
from cluster.launcher.nodes.layout import LauncherError

if TYPE_CHECKING:
    from cluster.client.api import Client

JOBS_MAX: Final = 32
"""More at a time are refused: each is a thread with a connection to every node."""

TIMEOUT_SECONDS: Final = 10.0
"""How long a request of a job may take, also while there is no leader."""

Work = Callable[["Client"], Iterator[Any]]


class Job:
    """A job that somebody asked for in a conversation. `endpoints` are for its client, and so is
    `key_file`, where they name the keys of nodes.

    Its turn is over at its first value, or its end: the next one of the same conversation begins
    then, so that a get sees what the put before it wrote. A watch goes on until it is cancelled.

    `on_value` and `on_end` are called in the main loop's thread.
    """

    def __init__(
        self,
        work: Work,
        endpoints: Sequence[str],
        conversation: Hashable,
        on_value: Callable[[Any], None],
        on_end: Callable[[str], None],
        *,
        is_watch: bool = False,
        key_file: str = "",
    ) -> None:
        self.work = work
        self.endpoints = list(endpoints)
        self.conversation = conversation
        self.is_watch = is_watch
        self.key_file = key_file
        self.on_value = on_value
        self.on_end = on_end
        self.is_cancelled = False
        self.turn_is_over = threading.Event()
        self.client: Client | None = None

    def cancel(self) -> None:
        """Deliver nothing more of it, and let its thread end soon."""
        self.is_cancelled = True
        if self.client is not None:
            self.client.close()


class Jobs:
    """The jobs under way. `fd` is readable when there is something to deliver."""

    def __init__(self) -> None:
        self._waker = Waker()
        self.fd = self._waker.fd
        self._made: deque[tuple[Job, Any, str | None]] = deque()
        self._under_way: set[Job] = set()
        self._newest: dict[Hashable, Job] = {}

    def begin(self, job: Job) -> None:
        """Start it in a thread; LauncherError if there are too many."""
        if len(self._under_way) >= JOBS_MAX:
            raise LauncherError(f"{JOBS_MAX} requests are under way: wait for their ends")
        self._under_way.add(job)
        before = self._newest.get(job.conversation)
        self._newest[job.conversation] = job
        threading.Thread(target=self._do, args=(job, before), name="job", daemon=True).start()

    def deliver(self) -> None:
        """Hand on what the jobs have made; call it in the main loop when `fd` is readable."""
        self._waker.clear()
        while self._made:
            job, value, end = self._made.popleft()
            if end is not None:
                self._forget(job)
            if job.is_cancelled:
                continue
            if end is None:
                job.on_value(value)
            else:
                job.on_end(end)

    def end_watches(self, conversation: Hashable) -> int:
        """Cancel the watches of a conversation; how many there were."""
        watches = [job for job in self._under_way if job.is_watch and not job.is_cancelled]
        found = [job for job in watches if job.conversation == conversation]
        for job in found:
            job.cancel()
        return len(found)

    def close(self) -> None:
        """Cancel all jobs. Their threads end by themselves, or with the process."""
        for job in self._under_way:
            job.cancel()

    def _forget(self, job: Job) -> None:
        self._under_way.discard(job)
        if self._newest.get(job.conversation) is job:
            del self._newest[job.conversation]

    def _do(self, job: Job, before: Job | None) -> None:
        from cluster.client.api import Client  # noqa: PLC0415 - most launches need none

        error = ""
        if before is not None:
            before.turn_is_over.wait(TIMEOUT_SECONDS)
        try:
            with Client(job.endpoints, timeout=TIMEOUT_SECONDS, key_file=job.key_file) as client:
                job.client = client
                if job.is_cancelled:
                    client.close()
                for value in job.work(client):
                    if job.is_cancelled:
                        break
                    self._hand_over(job, value, None)
        except LeaseholdError as failed:
            error = failed.message
        except ValueError as wrong:
            error = str(wrong)
        self._hand_over(job, None, error)

    def _hand_over(self, job: Job, value: Any, end: str | None) -> None:
        self._made.append((job, value, end))
        job.turn_is_over.set()
        self._waker.wake()
