"""A node, an honest client beside the cases, and what must hold after each: judged here.

A case's connection is answered or ended within a time; the honest client is served; the node is the
process that was started; and its memory does not grow beyond a bound.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import zmq

from cluster.faults import UNAVAILABLE
from cluster.launcher.local import LocalCluster
from cluster.wire import pack, unpack
from tests.chaos.hostile.zmtp import Connection
from tests.fuzz.cases import Case, case_of
from tests.fuzz.peers import Facts

ANSWER_SECONDS: Final = 30.0
"""A request is answered, or its connection ended, within this time; and so is the honest client."""

GROWTH_MIB_MAX: Final = 512
SHOWN_BYTES: Final = 200

Address = tuple[str, int]


class FoundError(Exception):
    """Something does not hold after a case."""


class Target(NamedTuple):
    """A node under test; `memory_mib` and `is_running` are of its process."""

    address: Address
    peer_address: Address
    memory_mib: Callable[[], int]
    is_running: Callable[[], bool]


class Honest:
    """A client whose requests must be answered whatever others do."""

    def __init__(self, address: Address) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        self._socket.linger = 0
        self._socket.rcvtimeo = round(1_000 * ANSWER_SECONDS)
        self._socket.connect(f"tcp://{address[0]}:{address[1]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=0)

    def put(self) -> None:
        """Put, and see that it is done, perhaps by another leader. Raises FoundError."""
        until = time.monotonic() + ANSWER_SECONDS
        while "header" not in (reply := self._ask(op="put", key="honest", value="1")):
            if reply["error"]["code"] != UNAVAILABLE or time.monotonic() > until:
                raise FoundError(f"an honest client was told {reply}")

    def facts(self) -> Facts:
        """What anybody can learn of the cluster."""
        reply = self._ask(op="member_list")
        members = tuple(member["ID"] for member in reply["members"])
        return Facts(reply["header"]["cluster_id"], members)

    def _ask(self, **request: str) -> Any:
        self._socket.send(pack(request))
        try:
            return unpack(self._socket.recv())
        except zmq.Again:
            raise FoundError("an honest client had no answer") from None


def run_case(target: Target, case: Case) -> None:
    """Send the bytes of a case and wait for what it must have. Raises FoundError."""
    try:
        is_peer = case.socket == b"PUSH"
        with Connection(target.peer_address if is_peer else target.address) as connection:
            connection.socket.settimeout(ANSWER_SECONDS)
            if case.socket:
                connection.shake_hands(case.socket)
            connection.send(case.data)
            for _ in range(case.answers):
                if not list(connection.messages(1, ANSWER_SECONDS)):
                    raise FoundError("it was neither answered nor was its connection ended")
    except TimeoutError:
        raise FoundError("the node neither takes what is sent nor ends the connection") from None
    except OSError:
        return  # the node has ended the connection: it may


def run(target: Target, seed: str, numbers: Iterator[int], until: float) -> Counter[str]:
    """Try cases until that time of the monotonic clock. Raises FoundError, which shows the case."""
    done: Counter[str] = Counter()
    with Honest(target.address) as honest:
        honest.put()
        facts = honest.facts()
        before_mib = target.memory_mib()
        for number in numbers:
            if time.monotonic() >= until:
                break
            case = case_of(seed, number, facts)
            try:
                run_case(target, case)
                honest.put()
                _check(target, before_mib)
            except FoundError as found:
                raise FoundError(_shown(found, seed, number, case)) from None
            done[case.kind] += 1
    return done


def _check(target: Target, before_mib: int) -> None:
    if not target.is_running():
        raise FoundError("the node has ended")
    growth = target.memory_mib() - before_mib
    if growth > GROWTH_MIB_MAX:
        raise FoundError(f"the node's memory grew by {growth} MiB")


def _shown(found: FoundError, seed: str, number: int, case: Case) -> str:
    start = case.data[:SHOWN_BYTES].hex()
    return (
        f"{found}\n{case.kind}, {len(case.data)} bytes after "
        f"{case.socket.decode() or 'no'} handshake: {start}\n"
        f"again: python -m tests.fuzz --seed {seed} --case {number}"
    )


def target_of(cluster: LocalCluster) -> Target:
    """The first node of a cluster."""
    node = cluster.nodes["n1"]
    pid = node.pid

    def memory_mib() -> int:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return 0  # it has ended, which is found elsewhere
        resident = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(resident[0].split()[1]) // 1024 if resident else 0

    def is_running() -> bool:
        return node.running and node.pid == pid

    return Target(_address(node.endpoint), _address(node.peer_url), memory_mib, is_running)


def _address(url: str) -> Address:
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    return host, int(port)
