"""The fuzz itself: some cases against a node, and that it finds what is planted."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from threading import Thread

import pytest

from cluster.launcher.local import LocalCluster
from tests.fuzz import campaign
from tests.fuzz.campaign import FoundError, Target, run, run_case, target_of
from tests.fuzz.cases import Case, case_of
from tests.fuzz.peers import Facts

CASES = 150
SEED = "committed"
FOREVER_SECONDS = 600.0
IMPATIENT_SECONDS = 0.5


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with LocalCluster(size=3) as cluster:
        yield target_of(cluster)


@pytest.mark.campaign
def test_a_node_bears_the_first_cases_of_a_seed(target: Target) -> None:
    done = run(target, SEED, iter(range(CASES)), time.monotonic() + FOREVER_SECONDS)
    kinds = {"requests", "batches", "structures", "frames", "commands", "peers", "handshakes"}
    assert set(done) == kinds


def test_a_case_is_the_same_for_the_same_seed_and_number() -> None:
    first, again = ([case_of(SEED, number, Facts()) for number in range(20)] for _ in range(2))
    assert first == again
    assert first[1] != case_of("another", 1, Facts())


def test_a_node_that_grows_is_found_with_the_case_that_did_it(target: Target) -> None:
    sizes = itertools.chain([40, 41], itertools.repeat(40 + campaign.GROWTH_MIB_MAX + 1))
    growing = target._replace(memory_mib=lambda: next(sizes))
    with pytest.raises(FoundError, match=r"memory grew(.|\n)*--seed committed --case 1$"):
        run(growing, SEED, iter(range(3)), time.monotonic() + FOREVER_SECONDS)


def test_a_node_that_ended_is_found(target: Target) -> None:
    ended = target._replace(is_running=lambda: False)
    with pytest.raises(FoundError, match="the node has ended"):
        run(ended, SEED, iter(range(3)), time.monotonic() + FOREVER_SECONDS)


def test_a_listener_that_does_not_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "ANSWER_SECONDS", IMPATIENT_SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []
        waiting = Thread(target=lambda: accepted.append(server.accept()[0]))
        waiting.start()
        address = server.getsockname()
        silent = Target(address, address, lambda: 0, lambda: True)
        with pytest.raises(FoundError, match="neither answered nor"):
            run_case(silent, Case("planted", b"", b"x", 1))
        waiting.join()
        accepted[0].close()
