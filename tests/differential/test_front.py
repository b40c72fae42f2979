"""etcd's own command line on etcd and on a node's front; each step must show the same.

`python -m tests.differential cli --etcdctl` types the whole script.
"""

from __future__ import annotations

import pytest

from tests.differential.cli import ETCDCTL, compare, fault_of, report
from tests.differential.cli_front import FRONT_SECTIONS, QUICK, THROUGH_A_FRONT
from tests.differential.etcd import MISSING, binaries


@pytest.mark.skipif(binaries() is None, reason=MISSING)
def test_etcdctl_cannot_tell_a_front_from_etcd() -> None:
    faults = [
        report(compared, fault)
        for compared in compare(QUICK, ETCDCTL.side)
        if (fault := fault_of(compared, THROUGH_A_FRONT))
    ]
    assert not faults, "\n".join(faults)


def test_each_purpose_is_of_some_step_through_a_front() -> None:
    steps = [str(step) for section in FRONT_SECTIONS.values() for step in section]
    for purpose in THROUGH_A_FRONT:
        assert any(purpose.pattern.search(step) for step in steps), purpose.reason
