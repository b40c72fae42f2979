"""`python -m tests.differential cli`: one script typed at etcdctl and at leasectl.

Each command line runs as a process against a real server of its kind; stdout, stderr and exit code
must be equal, except for what `cli_masks` lets differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from difflib import unified_diff
from pathlib import Path
from typing import NamedTuple

from tests.differential.cli_masks import Outcome, masked, purpose_of
from tests.differential.cli_script import SECTIONS, Step
from tests.differential.cli_sides import Typist, etcd_side, leasehold_side
from tests.differential.etcd import MISSING, binaries


class Compared(NamedTuple):
    """One step, and what both sides made of it, masked."""

    step: Step
    etcdctl: Outcome
    leasectl: Outcome

    @property
    def is_equal(self) -> bool:
        """Whether nobody could tell one from the other."""
        return self.etcdctl == self.leasectl


def main(arguments: list[str]) -> int:
    """Run the script; 1 if anything differs that should not (or the reverse), 2 without an etcd."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential cli", description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="print every line with its output")
    parser.add_argument("--section", action="append", choices=list(SECTIONS), help="only these")
    options = parser.parse_args(arguments)
    if binaries() is None:
        sys.stdout.write(MISSING + "\n")
        return 2
    begun = time.monotonic()
    count = equal = purposes = 0
    faults = 0
    script = tuple(step for name in options.section or SECTIONS for step in SECTIONS[name])
    for compared in compare(script):
        count += 1
        equal += compared.is_equal
        purpose = purpose_of(str(compared.step))
        fault = fault_of(compared)
        purposes += purpose is not None and not fault
        faults += bool(fault)
        if fault or options.verbose:
            sys.stdout.write(report(compared, fault) + "\n")
            sys.stdout.flush()
    sys.stdout.write(
        f"{count} command lines on etcdctl and on leasectl: {equal} equal, {purposes} different on"
        f" purpose, {faults} at fault ({time.monotonic() - begun:.0f} s)\n"
    )
    return 1 if faults else 0


def compare(script: tuple[Step, ...]) -> Iterator[Compared]:
    """Type the script at both, side by side: neither waits for the other."""
    with ExitStack() as stack:
        sides = [stack.enter_context(etcd_side()), stack.enter_context(leasehold_side())]
        typists = [
            Typist(side, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="typed-"))))
            for side in sides
        ]
        streams = [
            stack.enter_context(ThreadPoolExecutor(max_workers=1)).map(typist.type, script)
            for typist in typists
        ]
        for step, etcdctl, leasectl in zip(script, *streams, strict=True):
            yield Compared(step, _masked(etcdctl), _masked(leasectl))


def fault_of(compared: Compared) -> str:
    """What is wrong with a step, if anything."""
    purpose = purpose_of(str(compared.step))
    if purpose is None:
        return "" if compared.is_equal else "they differ"
    return f"they no longer differ ({purpose.reason})" if compared.is_equal else ""


def report(compared: Compared, fault: str) -> str:
    """A step and its outcome, as a reader needs it to find the cause."""
    step, etcdctl, leasectl = compared
    head = [f"$ {line}" for line in str(step).splitlines()]
    head += [f"  & {other}" for other in step.meanwhile]
    if fault:
        head.append(f"  {fault}:")
    body = unified_diff(_lines(etcdctl), _lines(leasectl), "etcdctl", "leasectl", n=99, lineterm="")
    return "\n".join([*head, *(list(body) or _lines(leasectl))])


def _masked(outcome: Outcome) -> Outcome:
    return Outcome(masked(outcome.stdout), masked(outcome.stderr), outcome.code)


def _lines(outcome: Outcome) -> list[str]:
    errors = [f"2> {line}" for line in outcome.stderr.splitlines()]
    return [*outcome.stdout.splitlines(), *errors, f"[{outcome.code}]"]
