"""How a difference is told: the program, where the answers part, and how to see it again."""

from __future__ import annotations

from typing import Final

from tests.differential.language import Program, listing, text_of
from tests.differential.parts import parts_that_differ
from tests.differential.runner import Difference

PARTS_TOLD: Final = 10


def report(program: Program, difference: Difference, seed: int | None = None) -> str:
    """A finding, in lines; `seed` made the program that this one was shrunk from."""
    own, etcd = difference.own, difference.etcd
    lines = [
        f"--- a difference at operation {difference.position + 1} of {len(program)}:",
        repr(difference.operation),
        f"etcd:      {text_of(etcd)}",
        f"leasehold: {text_of(own)}",
        *(
            f"  {part.place}: {text_of(part.etcd)} != {text_of(part.own)}"
            for part in parts_that_differ(etcd, own)[:PARTS_TOLD]
        ),
        "--- the program:",
        listing(program),
    ]
    if seed is not None:
        lines.append(f"--- again: python -m tests.differential --programs 1 --seed {seed}")
    return "\n".join(lines)
