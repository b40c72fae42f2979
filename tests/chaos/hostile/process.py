"""The process of the hostile clients: apart from the honest ones, and below them in priority.

They stand for programs on other machines, so what they cost the processor must not be taken for
what they do to a node: they have what nodes and honest clients leave, unless they are `equal`. The
process ends when its standard input does, so none outlives who started it.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

import zmq

from cluster.keyed import seal
from cluster.wire import WireError, pack, unpack
from tests.chaos.hostile import (
    on_clients,
    on_http1,
    on_http2,
    on_locks,
    on_peers,
    on_rights,
    on_tls,
)
from tests.chaos.hostile.intruder import Address, Facts, Intruder, Kind, Sight
from tests.chaos.hostile.person import NOBODY, Person, Secrets, person_of, secrets_of
from tests.limits import HANG_SECONDS

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (*on_clients.KINDS, *on_peers.KINDS, *on_http2.KINDS, *on_http1.KINDS)
}
"""Every kind of harm by name, to a cluster that checks nobody's requests."""

GUARDED_KINDS: Final[Mapping[str, Kind]] = {
    **KINDS,
    **{kind.name: kind for kind in on_rights.KINDS},
}
"""Every kind of harm by name, to a cluster that checks requests."""

KEYED_KINDS: Final[Mapping[str, Kind]] = {
    **GUARDED_KINDS,
    **{kind.name: kind for kind in (*on_locks.KINDS, *on_tls.KINDS)},
}
"""Every kind of harm by name, to a cluster whose members, clients and fronts ask who comes."""

NICE: Final = 19

AUTOGROUP: Final = Path("/proc/self/autogroup")
"""Where Linux shares the processors out by session first, as it does by default, a niceness counts
within a session only. That of the session as a whole is written here (sched(7))."""

ASK_SECONDS: Final = 1.0
ANSWER_MS: Final = 1_000
JOIN_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.05

LATE_SECONDS: Final = HANG_SECONDS / 2
"""For this time at most a kind that has not acted yet is waited for."""


class Plan(NamedTuple):
    """Who does what to whom; the number of hostile clients is for all kinds together.

    `equal`: their process has the same right to the processors as a node.
    `user` has the name and the password of one without rights, where requests are checked. The
    hostile clients are these people, each in turn; `secrets` are known where there are keys.
    """

    fronts: Mapping[str, Address]
    doors: Mapping[str, Address]
    peers: Mapping[str, Address]
    kinds: Sequence[str]
    hostile_clients: int
    seed: str
    user: Sequence[str] = ()
    people: Sequence[Person] = (NOBODY,)
    secrets: Secrets | None = None
    equal: bool = False

    def text(self) -> str:
        """The plan as a line of JSON."""
        return json.dumps(self._asdict(), default=bytes.hex)


def plan_of(line: str) -> Plan:
    """The plan that a line of JSON has."""
    plan = Plan(**json.loads(line))
    secrets = None if plan.secrets is None else secrets_of(plan.secrets)
    return plan._replace(people=tuple(map(person_of, plan.people)), secrets=secrets)


class Row(NamedTuple):
    """What the hostile clients of a kind, or a person, did and saw."""

    kind: str
    clients: int
    acts: int
    seen: Mapping[str, int]


class HostileProcess:
    """The process, for whoever starts it."""

    def __init__(self, plan: Plan) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
            start_new_session=True,  # Ctrl-C is for who started it, who ends it then
        )
        assert self._process.stdin is not None
        self._process.stdin.write(plan.text().encode() + b"\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate()

    def stop(self) -> list[Row]:
        """End it; what it has seen."""
        output, _ = self._process.communicate(timeout=HANG_SECONDS)
        return [Row(**row) for row in json.loads(output)]


def main() -> None:
    """Do what the first line of the standard input says, until the input ends."""
    plan = plan_of(sys.stdin.readline())
    if not plan.equal:
        _step_back()
    stopping = threading.Event()
    sights = {name: Sight() for name in plan.kinds}
    people = [(person, Sight()) for person in plan.people]
    everybody = [*sights.values(), *(sight for _, sight in people)]
    waiting = threading.Thread(target=_wait_for_the_end, args=(stopping, everybody), daemon=True)
    waiting.start()
    asking = Asking(plan)
    while not (asking.facts.members or stopping.is_set()):
        asking.ask()
    drawn = itertools.islice(itertools.cycle(plan.kinds), plan.hostile_clients)
    intruders = [
        Intruder(
            f"{plan.seed}-{number}",
            KEYED_KINDS[kind],
            lambda: asking.facts,
            sights[kind],
            stopping,
            people,
        )
        for number, kind in enumerate(drawn)
    ]
    for intruder in intruders:
        intruder.start()
    while not stopping.wait(ASK_SECONDS):
        asking.ask()
    for intruder in intruders:
        intruder.join(JOIN_SECONDS / len(intruders))
    share = round(plan.hostile_clients / len(plan.kinds))
    seen = [(name, share, sight) for name, sight in sights.items()]
    if plan.secrets is not None:
        number = plan.hostile_clients
        seen += [(f"as {person.name}", number, sight) for person, sight in people]
    rows = [
        Row(name, clients, sight.acts, dict(sight.seen.most_common()))._asdict()
        for name, clients, sight in seen
    ]
    sys.stdout.write(json.dumps(rows))
    sys.stdout.flush()
    os._exit(0)  # whoever still waits for a node waits no longer


def _step_back() -> None:
    """Leave the processors to all others: this process has a session of its own."""
    os.nice(NICE)
    with suppress(OSError):
        AUTOGROUP.write_text(str(NICE))


def _wait_for_the_end(stopping: threading.Event, everybody: Sequence[Sight]) -> None:
    """Wait until it is over, and on a busy machine until each kind has acted at all."""
    while sys.stdin.readline():
        pass
    until, parent = time.monotonic() + LATE_SECONDS, os.getppid()
    while not all(sight.acts for sight in everybody):
        if time.monotonic() > until or os.getppid() != parent:
            break
        stopping.wait(LOOK_SECONDS)
    stopping.set()


class Asking:
    """Asks the nodes now and then what anybody may ask. One thread's."""

    def __init__(self, plan: Plan) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        fronts, doors, peers = (
            {name: (host, port) for name, (host, port) in addresses.items()}
            for addresses in (plan.fronts, plan.doors, plan.peers)
        )
        self.facts = Facts(fronts, doors, peers, {}, 0, 0, 0, 0, secrets=plan.secrets)
        self._user = plan.user
        self._pair = next((each.pair for each in plan.people if each.pair is not None), None)

    def ask(self) -> None:
        """Ask one node after the other until one answers."""
        for name, (host, port) in self.facts.doors.items():
            with suppress(WireError, KeyError, zmq.Again):
                self._ask(name, f"tcp://{host}:{port}")
                return

    def _ask(self, name: str, url: str) -> None:
        secrets = self.facts.secrets
        with self._context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.setsockopt(zmq.RCVTIMEO, ANSWER_MS)
            if secrets is not None and self._pair is not None:
                seal(socket, secrets.keys[name], self._pair)
            socket.connect(url)
            socket.send(pack({"op": "status"}))
            status = unpack(socket.recv())
            socket.send(pack({"op": "member_list", "linearizable": True}))
            members = unpack(socket.recv())["members"]
            if self._user and not self.facts.token:
                user, password = self._user
                socket.send(pack({"op": "authenticate", "name": user, "password": password}))
                self.facts = self.facts._replace(token=unpack(socket.recv())["token"])
        self.facts = self.facts._replace(
            members={member["name"]: member["ID"] for member in members},
            cluster_id=status["header"]["cluster_id"],
            term=status["raftTerm"],
            leader=status["leader"],
            log_index=status["raftIndex"],
        )


if __name__ == "__main__":
    main()
