"""Telling: the lines that engines have made go to the log, and to a launcher.

Refuses to know what they say.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from actors.language.lines import ToldLine, Weight
from cluster.logs import tell

_LEVELS: Final = {
    Weight.DETAIL: logging.DEBUG,
    Weight.NEWS: logging.INFO,
    Weight.WARNING: logging.WARNING,
}


def tell_all(lines: Iterable[ToldLine], log: logging.Logger) -> None:
    """Tell each of these lines; those without a kind go to the `log` alone."""
    for kind, text, weight, fields, key in lines:
        if kind:
            tell(kind, text, level=_LEVELS[weight], key=key, **fields)
        else:
            log.log(_LEVELS[weight], "%s", text, extra={"key": key})
