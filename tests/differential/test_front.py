"""etcd's own command line, and programs that speak JSON, on etcd and on a node's front.

Each step must show the same.

`python -m tests.differential cli --etcdctl` types the whole script.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.differential.cli import ETCDCTL, compare, fault_of, report
from tests.differential.cli_front import FRONT_SECTIONS, QUICK, THROUGH_A_FRONT
from tests.differential.cli_sides import etcd_side, front_side
from tests.differential.etcd import MISSING, Etcd, binaries
from tests.differential.leasehold import Leasehold
from tests.differential.mirror import mirrored
from tests.differential.replays import REPLAYS, differences, masked, replayed


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


@pytest.mark.skipif(binaries() is None, reason=MISSING)
def test_etcdctl_mirrors_etcd_here_and_here_to_etcd() -> None:
    programs = binaries()
    assert programs is not None
    with etcd_side() as etcd, front_side() as ours:
        for source, destination in ((etcd, ours), (ours, etcd)):
            originals, copies = mirrored(
                programs / "etcdctl", source.endpoint, destination.endpoint
            )
            assert originals.split() == ["from/b", "4", "from/c", "5", "from/d", "6", "from/end"]
            assert copies == originals.replace("from/", "to/")


@pytest.mark.skipif(binaries() is None, reason=MISSING)
@pytest.mark.parametrize("program", REPLAYS)
def test_what_a_program_is_answered_is_what_etcd_answers(program: str) -> None:
    # Each program begins at the first revision, so that revisions are equal, too.
    with ExitStack() as stack:
        etcd = Etcd()
        stack.callback(etcd.stop)
        node = Leasehold(front=True)
        stack.callback(node.stop)
        theirs = replayed(REPLAYS[program], etcd.addresses[0])
        ours = replayed(REPLAYS[program], node.address)
    assert not list(differences(theirs, ours)), "\n".join(differences(theirs, ours))


def test_a_planted_difference_is_told() -> None:
    assert not list(differences(["200 {}", "404 {}"], ["200 {}", "404 {}"]))
    assert list(differences(["200 {}", "404 {}"], ["200 {}", "400 {}"])) == [
        "etcd: 404 {}\nours: 400 {}"
    ]


def test_only_a_remaining_ttl_near_to_what_was_granted_is_a_matter_of_time() -> None:
    def life(left: int) -> bytes:
        return masked(b'{"ID":"7","TTL":"%d","grantedTTL":"15"}' % left)

    assert life(14) == life(15)
    assert life(15) != life(16)
    assert life(15) != life(3)
