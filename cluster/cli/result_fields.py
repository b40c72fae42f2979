"""The operation that a result answers, and its fields in the order of the protocol's table.

Several printers share this. It refuses to know any format.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from cluster.client.result_table import RESULTS
from cluster.protocol import OPS
from cluster.schema import Field, ProtocolOp

_OPS: Final[dict[type[Any], ProtocolOp]] = {result: OPS[name] for name, result in RESULTS.items()}
_FIELDS: Final = {
    result: [(field, field.attribute) for field in op.reply if hasattr(result, field.attribute)]
    for result, op in _OPS.items()
}


def op_of(result: Any) -> ProtocolOp:
    """The operation that has this result."""
    return _OPS[type(result)]


def fields_of(result: Any) -> Iterator[tuple[Field, Any]]:
    """The fields of the result and their values, in the order of the table."""
    for field, attribute in _FIELDS[type(result)]:
        yield field, getattr(result, attribute)
