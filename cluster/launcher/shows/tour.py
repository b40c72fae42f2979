"""`tour`: what a cluster does, in two minutes: seven steps, each of which checks what it claims.

It pauses for Enter between the steps, or runs through (`--yes`) and is a test of the whole. It asks
single nodes what they have, and changes things by the commands that a user has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cluster.launcher.commands.desk import Desk
from cluster.launcher.commands.jobs import Job
from cluster.launcher.commands.parsing import Option, Words
from cluster.launcher.errands.errand import Errand
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.report.quantiles import milliseconds
from cluster.launcher.shows.show import Stage
from cluster.launcher.story.failover import Failover

if TYPE_CHECKING:
    from cluster.client.api import Client

OPTIONS: Final = (Option("--yes", "do not wait for Enter between the steps"),)

SIZE_MIN: Final = 3
PREFIX: Final = "tour/"
GREETING: Final = (b"tour/greeting", b"hello")

REFUSAL_SECONDS: Final = 2.0
"""How long a minority is given to acknowledge a write, which it must not do."""

LEASE_TTL_SECONDS: Final = 60
LAGGARD_ENTRIES: Final = 12_000
"""Writes while a node is down: more than the log keeps for a node that lags."""

BATCH: Final = 500
VALUE: Final = b"x" * 32


class Step(NamedTuple):
    """A step of the tour: its name, and what it does."""

    name: str
    script: Callable[[Stage], Errand[None]]


def begin(desk: Desk, words: Words) -> Errand[None] | None:
    """Begin the tour, go on as Enter does (`tour next`), or end it (`tour stop`).

    Words: names of steps, all by default.
    """
    if words.plain == ("stop",):
        desk.shows.stop()
        return None
    if words.plain == ("next",):
        desk.shows.enter()
        return None
    steps = steps_of(words)
    if len(desk.cluster.voters) < SIZE_MIN:
        raise LauncherError(f"the tour needs {SIZE_MIN} voters: run_cluster.py -n {SIZE_MIN} tour")
    pauses = not words.options.get("yes", False)
    return desk.shows.begin(desk, "tour", partial(_script, steps=steps, pauses=pauses))


def steps_of(words: Words) -> list[Step]:
    """The steps that these words name, all for none; LauncherError for a word that is none."""
    known = {step.name: step for step in STEPS}
    names = words.plain
    for name in names:
        if name not in known:
            raise LauncherError(f"tour: there is no step {name}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else list(STEPS)


def _script(stage: Stage, steps: Sequence[Step], pauses: bool) -> Errand[str]:
    for number, step in enumerate(steps, start=1):
        if pauses and number > 1:
            yield from stage.pause()
        yield from stage.until(stage.is_agreed, "a leader that every node knows")
        stage.tell(f"--- {number} of {len(steps)}: {step.name} ---")
        yield from step.script(stage)
    outages = [each.write_outage_ms for each in stage.failovers() if each.write_outage_ms]
    longest = f"; the longest write outage was {milliseconds(max(outages))} ms" if outages else ""
    return f"{len(steps)} steps, each as it says{longest}"


# --- the steps ---


def _election(stage: Stage) -> Errand[None]:
    statuses = yield from _statuses(stage)
    terms = {status["raftTerm"] for status in statuses.values()}
    leaders = {status["leader"] for status in statuses.values()}
    stage.check(len(terms) == 1, f"the nodes are in different terms: {sorted(terms)}")
    stage.check(len(leaders) == 1, "the nodes name different leaders")
    leader = stage.leader()
    quorum = stage.desk.cluster.quorum
    stage.tell(
        f"{leader} leads in term {terms.pop()}: every node says so. At least {quorum} of"
        f" {len(statuses)} have voted for it, and nobody votes twice in a term."
    )


def _replication(stage: Stage) -> Errand[None]:
    leader = stage.leader()
    reply = yield from stage.ask(leader, _put(*GREETING))
    revision = reply["header"]["revision"]
    stage.tell(f"Put tour/greeting: acknowledged at revision {revision}, so a quorum has it.")
    yield from _until_all_have(stage, *GREETING)
    yield from _check_equal(stage, revision)
    stage.tell("Every node has it in its own store, and all stores have the same hash.")


def _kill(stage: Stage) -> Errand[None]:
    before = stage.leader()
    yield from stage.ask(before, _put(*GREETING))
    stage.tell(f"kill {before}: the leader gets SIGKILL, and cannot say goodbye.")
    failover = yield from _change_leader(stage, f"kill {before}", before)
    after = stage.leader()
    stage.check(failover.lost == 0, f"{failover.lost} acknowledged writes were lost")
    reply = yield from stage.ask(after, _get(GREETING[0]))
    stage.check(_value(reply) == GREETING[1], f"{after} does not have tour/greeting")
    stage.tell(
        f"{after} leads now. Writes waited for {milliseconds(failover.write_outage_ms)} ms, and no"
        " acknowledged write is lost."
    )


def _recovery(stage: Stage) -> Errand[None]:
    cluster = stage.desk.cluster
    ended = [node.name for node in cluster.members if not node.running]
    name = ended[0] if ended else _follower(stage)
    if not ended:
        yield from stage.do(f"kill {name}")
    yield from stage.ask(stage.leader(), _put(b"tour/while-down", b"1"))
    stage.tell(f"start {name}: it has missed a write. It reads its log, and asks for the rest.")
    yield from stage.do(f"start {name}")
    yield from _until_has(stage, name, b"tour/while-down", b"1")
    yield from _check_equal(stage)
    stage.tell(f"{name} has the write, and the same hash as the others.")


def _partition(stage: Stage) -> Errand[None]:
    cut = stage.leader()
    others = [node.name for node in stage.desk.cluster.voters if node.name != cut]
    stage.tell(f"partition: {cut}, which leads, is cut off from {' and '.join(others)}.")
    yield from _change_leader(stage, f"partition {cut} | {','.join(others)}", cut)
    after = stage.leader()
    yield from stage.ask(after, _put(b"tour/majority", b"1"))
    stage.tell(f"{after} leads the majority and takes writes. {cut} is asked for a write, too:")
    why = yield from stage.refusal(cut, _put(b"tour/minority", b"1"), REFUSAL_SECONDS)
    stage.check(bool(why), f"{cut} acknowledged a write without a quorum")
    stage.tell(f"{cut} does not acknowledge it ({why}). It cannot know what the others do.")
    why = yield from stage.refusal(cut, _get(b"tour/majority"), REFUSAL_SECONDS)
    stage.check(bool(why), f"{cut} answered a linearizable read without a quorum")
    yield from stage.do("heal")
    yield from _until_has(stage, cut, b"tour/majority", b"1")
    stage.tell(f"heal: {cut} follows {stage.leader()}, and has what it missed.")


def _lease(stage: Stage) -> Errand[None]:
    before = stage.leader()
    granted = yield from stage.ask(before, {"op": "lease_grant", "TTL": LEASE_TTL_SECONDS})
    lease = granted["ID"]
    yield from stage.ask(before, {**_put(b"tour/leased", b"1"), "lease": lease})
    stage.tell(f"A lease of {LEASE_TTL_SECONDS} s holds tour/leased. The leader counts its time.")
    yield from _change_leader(stage, f"kill {before}", before)
    after = stage.leader()
    reply = yield from stage.ask(after, {"op": "lease_time_to_live", "ID": lease, "keys": True})
    left = reply.get("TTL", 0)
    stage.check(left > 0, f"the lease did not survive: its time to live is {left}")
    reply = yield from stage.ask(after, _get(b"tour/leased"))
    stage.check(_value(reply) == b"1", "tour/leased did not survive")
    yield from stage.ask(after, {"op": "lease_revoke", "ID": lease})
    reply = yield from stage.ask(after, _get(b"tour/leased"))
    stage.check(not reply.get("kvs"), "tour/leased survived its lease")
    stage.tell(f"{after} counts now: {left} s were left, and the key with them. Revoked: both go.")
    yield from stage.do(f"start {before}")


def _snapshot(stage: Stage) -> Errand[None]:
    name = _follower(stage)
    stage.tell(f"kill {name}, and write more than the log keeps for a node that lags.")
    yield from stage.do(f"kill {name}")
    yield from _fill(stage)
    yield from stage.do(f"start {name}")
    yield from _until_has(stage, name, b"tour/filled", b"1")
    counts = yield from stage.ask(name, {"op": "metrics"})
    stage.check(counts["snapshots_received"] > 0, f"{name} caught up without a snapshot")
    yield from _check_equal(stage)
    stage.tell(f"{name} got a snapshot, then the rest of the log, and has the same hash as all.")


STEPS: Final = (
    Step("election", _election),
    Step("replication", _replication),
    Step("kill", _kill),
    Step("recovery", _recovery),
    Step("partition", _partition),
    Step("lease", _lease),
    Step("snapshot", _snapshot),
)

# --- what they are made of ---


def _put(key: bytes, value: bytes) -> dict[str, Any]:
    return {"op": "put", "key": key, "value": value}


def _get(key: bytes, *, local: bool = False) -> dict[str, Any]:
    """A linearizable read; `local`: of the node's own store, which may be behind."""
    request: dict[str, Any] = {"op": "range", "key": key}
    return {**request, "serializable": True} if local else request


def _value(reply: dict[str, Any]) -> bytes | None:
    kvs = reply.get("kvs") or [{}]
    value: bytes | None = kvs[0].get("value")
    return value


def _follower(stage: Stage) -> str:
    leader = stage.leader()
    return next(node.name for node in stage.desk.cluster.voters if node.name != leader)


def _statuses(stage: Stage) -> Errand[dict[str, dict[str, Any]]]:
    statuses = {}
    for node in stage.desk.cluster.voters:
        statuses[node.name] = yield from stage.ask(node.name, {"op": "status"})
    return statuses


def _change_leader(stage: Stage, line: str, before: str) -> Errand[Failover]:
    """Do what takes the lead from a node; the fail-over, when it is measured."""
    mark = yield from stage.do(line)
    yield from stage.until_another_leads(before)
    yield from stage.until(
        lambda: any(each.leader_after for each in stage.failovers(mark)),
        "the measures of the fail-over",
    )
    return stage.failovers(mark)[-1]


def _until_has(stage: Stage, name: str, key: bytes, value: bytes) -> Errand[None]:
    """Ask one node until its own store has this."""
    while True:
        reply = yield from stage.ask(name, _get(key, local=True))
        if _value(reply) == value:
            return
        yield from stage.hold(0.05)


def _until_all_have(stage: Stage, key: bytes, value: bytes) -> Errand[None]:
    for node in stage.desk.cluster.running_members:
        yield from _until_has(stage, node.name, key, value)


def _check_equal(stage: Stage, revision: int = 0) -> Errand[None]:
    """Every running node's store has the same hash at a revision, by default the leader's."""
    if not revision:
        reply = yield from stage.ask(stage.leader(), _put(b"tour/mark", b"1"))
        revision = reply["header"]["revision"]
    hashes = {}
    for node in stage.desk.cluster.running_members:
        yield from _until_revision(stage, node.name, revision)
        reply = yield from stage.ask(node.name, {"op": "hash_kv", "revision": revision})
        hashes[node.name] = reply["hash"]
    stage.check(len(set(hashes.values())) == 1, f"the stores differ: {hashes}")


def _until_revision(stage: Stage, name: str, revision: int) -> Errand[None]:
    while True:
        reply = yield from stage.ask(name, _get(b"tour/mark", local=True))
        if reply["header"]["revision"] >= revision:
            return
        yield from stage.hold(0.05)


def _fill(stage: Stage) -> Errand[None]:
    """Write LAGGARD_ENTRIES entries, in a thread, and tell how far it is."""
    ends: list[str] = []

    def work(client: Client) -> Iterator[int]:
        for done in range(0, LAGGARD_ENTRIES, BATCH):
            under_way = [client.put_async(f"{PREFIX}{n}", VALUE) for n in range(BATCH)]
            for each in under_way:
                each.result()
            yield done + BATCH
        client.put("tour/filled", "1")

    def tell(done: int) -> None:
        text = f"{done:,} of {LAGGARD_ENTRIES:,} writes"
        stage.desk.journal.tell(
            "progress", text, what="fill", victim="", done=done, total=LAGGARD_ENTRIES
        )

    cluster = stage.desk.cluster
    job = Job(
        work,
        cluster.direct_endpoints,
        stage.name,
        tell,
        ends.append,
        key_file=cluster.own_key_file,
    )
    stage.desk.jobs.begin(job)
    yield from stage.until(lambda: bool(ends), "the writes")
    stage.check(not ends[0], f"the writes failed: {ends[0]}")
