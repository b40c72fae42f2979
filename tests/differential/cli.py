"""`python -m tests.differential cli`: one script typed at etcdctl and at leasectl.

Each command line runs as a process against a real server of its kind; stdout, stderr and exit code
must be equal, except for what `cli_masks` lets differ. With `--etcdctl` the program is etcdctl on
both sides, and what is compared is etcd and a node's front.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from difflib import unified_diff
from pathlib import Path
from typing import Final, NamedTuple

from tests.differential.cli_front import FRONT_SECTIONS, THROUGH_A_FRONT
from tests.differential.cli_masks import ON_PURPOSE, Outcome, Purpose, masked, purpose_of
from tests.differential.cli_script import Step
from tests.differential.cli_sides import Place, Typist, etcd_side, front_side, leasehold_side
from tests.differential.cli_users import ALL_SECTIONS
from tests.differential.etcd import MISSING, binaries


class Compared(NamedTuple):
    """One step, and what both sides made of it, masked."""

    step: Step
    etcd: Outcome
    ours: Outcome

    @property
    def is_equal(self) -> bool:
        """Whether nobody could tell one from the other."""
        return self.etcd == self.ours


class Comparison(NamedTuple):
    """What stands beside etcd and etcdctl, what is typed, and what differs on purpose."""

    name: str
    side: Callable[[], AbstractContextManager[Place]]
    sections: Mapping[str, tuple[Step, ...]]
    purposes: tuple[Purpose, ...]


LEASECTL: Final = Comparison("leasectl", leasehold_side, ALL_SECTIONS, ON_PURPOSE)
ETCDCTL: Final = Comparison("etcdctl on leasehold", front_side, FRONT_SECTIONS, THROUGH_A_FRONT)


def main(arguments: list[str]) -> int:
    """Run the script; 1 if anything differs that should not (or the reverse), 2 without an etcd."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential cli", description=__doc__)
    parser.add_argument("--etcdctl", action="store_true", help="etcdctl on both sides")
    parser.add_argument("--verbose", action="store_true", help="print every line with its output")
    parser.add_argument("--section", action="append", choices=list(FRONT_SECTIONS), help="only it")
    options = parser.parse_args(arguments)
    comparison = ETCDCTL if options.etcdctl else LEASECTL
    if unknown := set(options.section or ()) - comparison.sections.keys():
        parser.error(f"of etcdctl alone: {', '.join(sorted(unknown))}")
    if binaries() is None:
        sys.stdout.write(MISSING + "\n")
        return 2
    begun = time.monotonic()
    count = equal = purposes = 0
    faults = 0
    names = options.section or comparison.sections
    script = tuple(step for name in names for step in comparison.sections[name])
    for compared in compare(script, comparison.side):
        count += 1
        equal += compared.is_equal
        purpose = purpose_of(str(compared.step), comparison.purposes)
        fault = fault_of(compared, comparison.purposes)
        purposes += purpose is not None and not fault
        faults += bool(fault)
        if fault or options.verbose:
            sys.stdout.write(report(compared, fault) + "\n")
            sys.stdout.flush()
    sys.stdout.write(
        f"{count} command lines on etcdctl and on {comparison.name}: {equal} equal, {purposes}"
        f" different on purpose, {faults} at fault ({time.monotonic() - begun:.0f} s)\n"
    )
    return 1 if faults else 0


def compare(
    script: tuple[Step, ...], our_side: Callable[[], AbstractContextManager[Place]]
) -> Iterator[Compared]:
    """Type the script at both, side by side: neither waits for the other."""
    with ExitStack() as stack:
        sides = [stack.enter_context(etcd_side()), stack.enter_context(our_side())]
        typists = [
            Typist(side, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="typed-"))))
            for side in sides
        ]
        streams = [
            stack.enter_context(ThreadPoolExecutor(max_workers=1)).map(typist.type, script)
            for typist in typists
        ]
        for step, etcd, ours in zip(script, *streams, strict=True):
            yield Compared(step, _masked(etcd), _masked(ours))


def fault_of(compared: Compared, purposes: tuple[Purpose, ...] = ON_PURPOSE) -> str:
    """What is wrong with a step, if anything."""
    purpose = purpose_of(str(compared.step), purposes)
    if purpose is None:
        return "" if compared.is_equal else "they differ"
    return f"they no longer differ ({purpose.reason})" if compared.is_equal else ""


def report(compared: Compared, fault: str) -> str:
    """A step and its outcome, as a reader needs it to find the cause."""
    step, etcd, ours = compared
    head = [f"$ {line}" for line in str(step).splitlines()]
    head += [f"  & {other}" for other in step.meanwhile]
    if fault:
        head.append(f"  {fault}:")
    body = unified_diff(_lines(etcd), _lines(ours), "etcd", "ours", n=99, lineterm="")
    return "\n".join([*head, *(list(body) or _lines(ours))])


def _masked(outcome: Outcome) -> Outcome:
    return Outcome(masked(outcome.stdout), masked(outcome.stderr), outcome.code)


def _lines(outcome: Outcome) -> list[str]:
    errors = [f"2> {line}" for line in outcome.stderr.splitlines()]
    return [*outcome.stdout.splitlines(), *errors, f"[{outcome.code}]"]
