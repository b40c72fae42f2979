"""The names of errors: the type checker's list, the table, and what comes from elsewhere."""

from __future__ import annotations

from typing import get_args

from cluster.errors import FAULTS, FaultName, fault_name


def test_the_type_checker_knows_the_names_of_the_table() -> None:
    assert sorted(get_args(FaultName)) == sorted(FAULTS)


def test_a_name_of_another_version_is_none() -> None:
    assert fault_name("NoSuchError") is None
    assert all(fault_name(name) == name for name in FAULTS)
