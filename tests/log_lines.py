"""What a node's log would have of the records of a test: the same line is held back."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from cluster.repeats import Repeats


def written(records: Iterable[logging.LogRecord]) -> list[str]:
    """The lines that are written of records that come within a minute."""
    repeats: Repeats[str] = Repeats()
    lines = [
        repeats.take(getattr(each, "key", "") or each.getMessage(), each.getMessage(), 0)
        for each in records
    ]
    return [due.line for due in lines if due is not None]
