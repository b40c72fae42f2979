"""Lines: what an engine has to tell people, in words and with its fields, until an actor tells it.

The kinds and their fields are those of cluster/logs.py. Refuses to know where a line is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, NamedTuple


class Weight(Enum):
    """How much a line matters."""

    DETAIL = auto()
    NEWS = auto()
    WARNING = auto()


class ToldLine(NamedTuple):
    """One thing to tell; without a `kind` it is for people only.

    Lines of one `key` count as the same line; without a key, those of one text do.
    """

    kind: str
    text: str
    weight: Weight
    fields: Mapping[str, Any]
    key: str = ""
