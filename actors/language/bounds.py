"""The bounds of a field's numbers, which its type does not say; they are in its annotation.

The codecs refuse a number that is out of its bounds, when they encode and when they decode.
"""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

INT64_MAX: Final = 2**63 - 1
UINT64_MAX: Final = 2**64 - 1

NUMBER_MAX: Final = 1 << 62
"""No term, index or time comes near this, and the sum of two still fits into 64 bits."""


class Within(NamedTuple):
    """A number is from `least` to `most`, both included."""

    least: int
    most: int


Unsigned = Annotated[int, Within(0, UINT64_MAX)]
"""A number of 64 bits without a sign."""

Number = Annotated[int, Within(0, NUMBER_MAX)]
"""A term, an index or a time."""

MemberId = Annotated[int, Within(1, UINT64_MAX)]
"""The id of a member; 0 stands for no member."""
