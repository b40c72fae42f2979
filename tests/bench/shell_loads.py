"""One client under load: `python -m tests.bench.shell_loads KIND ADDRESS...`, for `shells`.

It connects, and says that it is ready. Each line of its standard input is a Job, as JSON; it does
that and prints what it took (Done). A job's requests are made by as many threads or tasks as are to
be under way, each of which waits for its answer before it asks again. Refuses to know clusters.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from importlib import import_module
from random import Random
from typing import Any, Final, NamedTuple

from cluster import Client, aio
from cluster.bench import load, workload
from cluster.bench.wires import Wires
from tests.bench import aside
from tests.chaos.leak_counts import descriptors
from tests.limits import HANG_SECONDS, PATIENT

KEYS: Final = 250
VALUE: Final = 256 * b"v"
PUT: Final = "put"
GET: Final = "get"


class Job(NamedTuple):
    """So many puts, or gets, with so many of them under way at a time."""

    operation: str
    under_way: int
    total: int

    def keys(self) -> Iterator[bytes]:
        """The keys, chosen at random; all who ask share the iterator."""
        chance = Random(self.total)
        return iter([workload.key_name(chance.randrange(KEYS)) for _ in range(self.total)])


class Done(NamedTuple):
    """What a job took: time, that of the processor in this process, and its sockets now."""

    seconds: float
    cpu_seconds: float
    sockets: int


class Watch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def done(self) -> Done:
        """It stops."""
        seconds, cpu = time.perf_counter() - self._began, time.process_time() - self._cpu
        return Done(seconds, cpu, descriptors(os.getpid()).sockets)


FILL: Final = Job(PUT, 50, 4 * KEYS)
"""Nearly all keys are there afterwards."""


# --- tasks ------------------------------------------------------------------------------------


async def of_tasks(client: Any) -> None:
    """Jobs by tasks, of a client whose `put` and `get` are awaited."""
    await by_tasks(client, FILL)
    aside.say_ready()
    while line := await asyncio.to_thread(sys.stdin.readline):
        say_done(await by_tasks(client, Job(*json.loads(line))))


async def by_tasks(client: Any, job: Job) -> Done:
    """A job by as many tasks as are to be under way."""
    keys = job.keys()
    watch = Watch()
    await asyncio.gather(*[_one_task(client, job.operation, keys) for _ in range(job.under_way)])
    return watch.done()


async def _one_task(client: Any, operation: str, keys: Iterator[bytes]) -> None:
    if operation == PUT:
        for key in keys:
            await client.put(key, VALUE)
    else:
        for key in keys:
            await client.get(key)


async def with_aio(addresses: list[str]) -> None:
    """The client for asyncio."""
    async with aio.Client(addresses, **PATIENT) as client:
        await of_tasks(client)


async def with_aetcd(addresses: list[str]) -> None:
    """aetcd, which knows one address."""
    host, _, port = addresses[0].rpartition(":")
    async with import_module("aetcd").Client(host, int(port), **PATIENT) as client:
        await of_tasks(client)


# --- threads ----------------------------------------------------------------------------------


def of_threads(addresses: list[str]) -> None:
    """The threaded client, with a thread for each request that is under way."""
    with Client(addresses, **PATIENT) as client:
        serve(lambda job: by_threads(client, job))


def by_threads(client: Client, job: Job) -> Done:
    """A job by as many threads as are to be under way."""
    keys, gate = job.keys(), threading.Barrier(job.under_way + 1)

    def work() -> None:
        gate.wait()
        if job.operation == PUT:
            for key in keys:
                client.put(key, VALUE)
        else:
            for key in keys:
                client.get(key)

    threads = [threading.Thread(target=work) for _ in range(job.under_way)]
    for thread in threads:
        thread.start()
    gate.wait()
    watch = Watch()
    for thread in threads:
        thread.join()
    return watch.done()


def pipelined(addresses: list[str]) -> None:
    """The threaded client, by futures: its callbacks send the next request."""
    with Client(addresses, **PATIENT) as client:
        serve(lambda job: by_futures(client, job))


def by_futures(client: Client, job: Job) -> Done:
    """A job in which the end of each request begins another."""
    keys, over = job.keys(), threading.Semaphore(0)
    failures: list[BaseException] = []

    def begin() -> None:
        for key in keys:
            is_put = job.operation == PUT
            future = client.put_async(key, VALUE) if is_put else client.get_async(key)
            future.add_done_callback(ended)
            return
        over.release()

    def ended(future: Future[Any]) -> None:
        failure = future.exception()
        if failure is None:
            begin()
        else:
            failures.append(failure)
            over.release()

    watch = Watch()
    for _ in range(job.under_way):
        begin()
    for _ in range(job.under_way):
        over.acquire()
    assert not failures, f"requests failed: {failures[0]}"
    return watch.done()


# --- neither ----------------------------------------------------------------------------------


def raw(addresses: list[str]) -> None:
    """One DEALER, requests that were made before, and answers of which only the id is read."""
    urls = [f"tcp://{address}" for address in addresses]
    with Wires(urls, 1, leader_only=True, dial_seconds=HANG_SECONDS) as wires:

        def do(job: Job) -> Done:
            chance, is_put = Random(job.total), job.operation == PUT
            puts, gets = workload.puts(len(VALUE), KEYS, chance), workload.gets(False, KEYS, chance)
            watch = Watch()
            load.run(job.operation, wires, puts if is_put else gets, job.total, job.under_way)
            return watch.done()

        serve(do)


def serve(do: Callable[[Job], Done]) -> None:
    """Put all keys, then do the jobs that come."""
    do(FILL)
    aside.say_ready()
    for line in sys.stdin:
        say_done(do(Job(*json.loads(line))))


def say_done(done: Done) -> None:
    """Tell the process that measures."""
    aside.say(json.dumps(done) + "\n")


TASKS: Final[dict[str, Callable[[list[str]], Awaitable[None]]]] = {
    "asyncio": with_aio,
    "aetcd": with_aetcd,
}
OTHERS: Final = {"raw": raw, "threads": of_threads, "futures": pipelined}


async def _run(kind: str, addresses: list[str]) -> None:
    await TASKS[kind](addresses)


if __name__ == "__main__":
    kind, *addresses = sys.argv[1:]
    if kind in OTHERS:
        OTHERS[kind](addresses)
    else:
        asyncio.run(_run(kind, addresses))
