"""What a small call costs, as a count of calls: it has no noise."""

from __future__ import annotations

import sys
from typing import Any, Final

import pytest

from tests.cluster.etcd.http2.measure import answer, bursts, opened

CALLS: Final = 100
OWN_PLACE: Final = "cluster/etcd/http2/"


def functions_called(sent: list[bytes]) -> float:
    """Functions of the engine that one call of these bursts enters."""
    connection = opened()
    entered = 0

    def count(frame: Any, event: str, _: object) -> None:
        nonlocal entered
        entered += event == "call" and OWN_PLACE in frame.f_code.co_filename

    sys.setprofile(count)
    try:
        answer(connection, sent)
    finally:
        sys.setprofile(None)
    return entered / CALLS


@pytest.mark.parametrize(
    ("size", "has_timeouts", "bar"), [(100, False, 17), (1, False, 31), (100, True, 34)]
)
def test_a_call_enters_few_functions(size: int, has_timeouts: bool, bar: int) -> None:
    count = functions_called(bursts(CALLS, size, has_timeouts=has_timeouts))
    assert 5 < count <= bar
