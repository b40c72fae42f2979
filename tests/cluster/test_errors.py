"""The names of errors: the type checker's list, and the table."""

from __future__ import annotations

from typing import get_args

from cluster.errors import FAULTS, FaultName


def test_the_type_checker_knows_the_names_of_the_table() -> None:
    assert sorted(get_args(FaultName)) == sorted(FAULTS)
