"""The names of errors, and what each exception says of a retry."""

from __future__ import annotations

from typing import get_args

import pytest

from cluster import errors
from cluster.errors import LeaseholdError, exception_for
from cluster.faults import (
    DEADLINE_EXCEEDED,
    FAULTS,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    FaultName,
)

RETRYABLE_CODES = (DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE)

EXCEPTIONS = {
    "AnswerTooLarge": False,
    "NoSpace": False,
    "TooManyLeases": False,
    "TooManyLeasesOfUser": False,
    "LearnerNotReady": True,
    "MemberNotEnoughStarted": True,
    "NotLeader": True,
    "TimeoutLeaderTransfer": True,
    "TransferUnderWay": True,
}
"""Whether a retry helps, for the faults whose code says something else."""

TREE = [kind for kind in vars(errors).values() if isinstance(kind, type)]
CLIENT_ERRORS = [kind for kind in TREE if issubclass(kind, LeaseholdError)]


def test_the_type_checker_knows_the_names_of_the_table() -> None:
    assert sorted(get_args(FaultName)) == sorted(FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_says_whether_a_retry_helps(name: FaultName) -> None:
    fault = FAULTS[name]
    error = exception_for(fault.code, fault.message)
    assert error.retryable is EXCEPTIONS.get(name, fault.code in RETRYABLE_CODES)
    assert not error.maybe_applied, "a refusal is an answer"


def test_only_an_unknown_or_unshown_outcome_may_have_been_applied() -> None:
    maybe = [kind.__name__ for kind in CLIENT_ERRORS if kind.maybe_applied]
    assert maybe == ["OutcomeUnknownError", "NotTextError"]


def test_what_a_client_decides_for_itself_says_whether_a_retry_helps() -> None:
    assert {kind.__name__ for kind in CLIENT_ERRORS if kind.retryable} == {
        "ConflictError",
        "DeadlineExceededError",
        "LockTimeoutError",
        "NoLeaderEndpointError",
        "OutcomeUnknownError",
        "ResourceExhaustedError",
        "UnavailableError",
    }
