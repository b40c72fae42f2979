"""A result as the protocol's table has it: which operation it answers, and its fields in order.

What several printers share. Knows no format.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from cluster.client.results import RESULTS
from cluster.protocol import OPS
from cluster.schema import Field, ProtocolOp

_OPS: Final[dict[type[Any], ProtocolOp]] = {result: OPS[name] for name, result in RESULTS.items()}
_FIELDS: Final = {
    result: [(field, field.attribute) for field in op.reply if hasattr(result, field.attribute)]
    for result, op in _OPS.items()
}


def op_of(result: Any) -> ProtocolOp:
    """The operation that this is a result of."""
    return _OPS[type(result)]


def fields_of(result: Any) -> Iterator[tuple[Field, Any]]:
    """Each field of the reply that the result has, and its value, in the order of the table."""
    for field, attribute in _FIELDS[type(result)]:
        yield field, getattr(result, attribute)
