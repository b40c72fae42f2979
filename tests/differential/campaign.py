"""Many programs on several pairs of servers at a time: a process for each pair.

A worker takes every n-th seed, so that each program depends on its seed alone. What differs is
shown to differ again, and is shrunk, by the worker that found it. Prints nothing.
"""

from __future__ import annotations

import multiprocessing
import queue
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from multiprocessing.queues import Queue
from typing import Final, NamedTuple

from tests.differential.generator import program_of
from tests.differential.language import Program
from tests.differential.report import report
from tests.differential.runner import Difference, Pair
from tests.differential.servers import Start, start_pair
from tests.differential.shrink import shrunk
from tests.differential.sides import SideDiedError

WAIT_SECONDS: Final = 1.0


class Done(NamedTuple):
    """One program ran; `finding` is empty when both servers answered the same."""

    seed: int
    operations: Counter[str]
    finding: str


class Stopped(NamedTuple):
    """A worker has no more seeds, or failed for a reason that is no difference."""

    reason: str


class Campaign:
    """Runs the programs of some seeds; iterate for what became of each, in no order."""

    def __init__(self, seeds: range, workers: int, start: Start = start_pair) -> None:
        self._seeds = seeds
        self._start = start
        self._workers = min(workers, len(seeds))

    def __iter__(self) -> Iterator[Done]:
        context = multiprocessing.get_context("spawn")
        results: Queue[Done | Stopped] = context.Queue()
        processes = [
            context.Process(
                target=work, args=(self._seeds[number :: self._workers], results, self._start)
            )
            for number in range(self._workers)
        ]
        for process in processes:
            process.start()
        try:
            yield from self._results(results, processes)
        except BaseException:
            for process in processes:
                process.terminate()
            raise
        finally:
            for process in processes:
                process.join()

    def _results(
        self, results: Queue[Done | Stopped], processes: list[multiprocessing.context.SpawnProcess]
    ) -> Iterator[Done]:
        running = len(processes)
        while running:
            try:
                result = results.get(timeout=WAIT_SECONDS)
            except queue.Empty:
                assert any(process.is_alive() for process in processes), "the workers have died"
                continue
            if isinstance(result, Stopped):
                running -= 1
                assert not result.reason, result.reason
            else:
                yield result


def work(seeds: range, results: Queue[Done | Stopped], start: Start) -> None:
    """A worker: one pair of servers, and its share of the seeds."""
    reason = "interrupted"
    end_in_order()
    try:
        with Worker(start) as worker:
            for seed in seeds:
                results.put(worker.run(seed))
        reason = ""
    except SideDiedError as error:
        reason = str(error)
    finally:
        results.put(Stopped(reason))


def end_in_order() -> None:
    """Let SIGTERM end this process as Ctrl-C does: the servers that it started are stopped."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not leave them behind
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)


class Worker:
    """A pair of servers, started again when one has died of a program."""

    def __init__(self, start: Start = start_pair) -> None:
        self._start = start
        self._pair: Pair | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def run(self, seed: int) -> Done:
        """Run the program of a seed, and shrink it if it shows a difference."""
        program = program_of(seed)
        operations = Counter(operation.name for operation in program)
        difference = self.difference(program)
        finding = "" if difference is None else self._finding(seed, program, difference)
        return Done(seed, operations, finding)

    def difference(self, program: Program) -> Difference | str | None:
        """What a program shows: a difference, the last words of a server, or nothing."""
        if self._pair is None:
            self._pair = self._start()
        try:
            return self._pair.run(program)
        except SideDiedError as error:
            self._stop()
            return str(error)

    def _finding(self, seed: int, program: Program, first: Difference | str) -> str:
        wanted = signature(first)
        smallest = shrunk(program, lambda trial: signature(self.difference(trial)) == wanted)
        again = self.difference(smallest)
        if again is None or signature(again) != wanted:
            smallest, again = list(program), first  # it comes and goes: tell it as it came
        if isinstance(again, str):
            return report(smallest, Difference(len(smallest), smallest[-1], again, again), seed)
        return report(smallest, again, seed)

    def _stop(self) -> None:
        if self._pair is not None:
            self._pair.stop()
        self._pair = None


def signature(found: Difference | str | None) -> object:
    """What kind of finding it is."""
    return found.signature() if isinstance(found, Difference) else type(found)
