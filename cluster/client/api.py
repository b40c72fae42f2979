"""Client: what a program calls. Synchronous and thread-safe; each client has one I/O thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, overload

from cluster.client.flows import client as flows
from cluster.client.flows import election as election_flows
from cluster.client.flows import lease as lease_flows
from cluster.client.flows import lock as lock_flows
from cluster.client.flows import locking_queue as locking_queue_flows
from cluster.client.flows import mirror as mirror_flows
from cluster.client.flows import partitioner as partitioner_flows
from cluster.client.flows import party as party_flows
from cluster.client.flows import queues as queues_flows
from cluster.client.flows import scan as scan_flows
from cluster.client.flows import stm as stm_flows
from cluster.client.flows import watch as watch_flows
from cluster.client.flows.access import AccessApi
from cluster.client.flows.keys import KeyApi
from cluster.client.flows.primitives import Primitives
from cluster.client.flows.recipes import RecipeApi
from cluster.client.flows.stm import ATTEMPTS_MAX, Isolation
from cluster.client.flows.upkeep import UpkeepApi
from cluster.client.heartbeats import KEEPALIVE_TIME_SECONDS, KEEPALIVE_TIMEOUT_SECONDS
from cluster.client.requests import Key
from cluster.client.results import Data
from cluster.client.threads.blocking import (
    blocking,
    finish,
    front_of,
    fronted,
    made,
    synchronous,
)
from cluster.client.threads.key_client import KeyClient
from cluster.client.threads.objects import (
    ClientTxn,
    Lease,
    LeaseApi,
    Mirror,
    Scan,
    Stm,
    Watch,
)
from cluster.client.threads.recipes import (
    Barrier,
    Counter,
    DoubleBarrier,
    Election,
    Lock,
    LockingQueue,
    Partitioner,
    Party,
    PriorityQueue,
    Queue,
    Semaphore,
)
from cluster.client.threads.shell import ThreadShell

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


class _Twin(flows.Client[Data]):
    """What stands behind a threaded client."""

    _shell = ThreadShell


class Client(KeyClient[_Twin[Data]], Generic[Data]):
    __doc__ = synchronous(flows.Client.__doc__)

    @overload
    def __init__(
        self: Client[bytes],
        endpoints: str | Iterable[str] | None = ...,
        *,
        dial_timeout: float = ...,
        timeout: float = ...,
        keepalive_time: float = ...,
        keepalive_timeout: float = ...,
        exactly_once: bool = ...,
        direct: bool = ...,
        ca_cert: str | Path = ...,
        cert: str | Path = ...,
        key: str | Path = ...,
        insecure_skip_verify: bool = ...,
        user: str | None = ...,
        password: str | None = ...,
        key_file: str | Path = ...,
        text: Literal[False] = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: Client[str],
        endpoints: str | Iterable[str] | None = ...,
        *,
        dial_timeout: float = ...,
        timeout: float = ...,
        keepalive_time: float = ...,
        keepalive_timeout: float = ...,
        exactly_once: bool = ...,
        direct: bool = ...,
        ca_cert: str | Path = ...,
        cert: str | Path = ...,
        key: str | Path = ...,
        insecure_skip_verify: bool = ...,
        user: str | None = ...,
        password: str | None = ...,
        key_file: str | Path = ...,
        text: Literal[True],
    ) -> None: ...

    def __init__(
        self,
        endpoints: str | Iterable[str] | None = None,
        *,
        dial_timeout: float = 5.0,
        timeout: float = 5.0,
        keepalive_time: float = KEEPALIVE_TIME_SECONDS,
        keepalive_timeout: float = KEEPALIVE_TIMEOUT_SECONDS,
        exactly_once: bool = True,
        direct: bool = True,
        ca_cert: str | Path = "",
        cert: str | Path = "",
        key: str | Path = "",
        insecure_skip_verify: bool = False,
        user: str | None = None,
        password: str | None = None,
        key_file: str | Path = "",
        text: bool = False,
    ) -> None:
        super().__init__(
            _Twin[Data](
                endpoints,
                dial_timeout=dial_timeout,
                timeout=timeout,
                keepalive_time=keepalive_time,
                keepalive_timeout=keepalive_timeout,
                exactly_once=exactly_once,
                direct=direct,
                ca_cert=ca_cert,
                cert=cert,
                key=key,
                insecure_skip_verify=insecure_skip_verify,
                user=user,
                password=password,
                key_file=key_file,
                text=text,
            )
        )

    @fronted(KeyApi.scan)
    def scan(flow: scan_flows.Scan[Data]) -> Scan[Data]:
        return Scan(flow)

    # --- leases, transactions and watches ---

    lease = front_of(Primitives.lease, LeaseApi[Data])

    def txn(self) -> ClientTxn[Data]:
        return ClientTxn(self._flow.txn())

    txn.__doc__ = synchronous(Primitives.txn.__doc__)

    @fronted(Primitives.watch)
    def watch(flow: watch_flows.Watch[Data]) -> Watch[Data]:
        return Watch(flow)

    @fronted(Primitives.mirror)
    def mirror(flow: mirror_flows.Mirror[Data]) -> Mirror[Data]:
        return Mirror(flow)

    def stm(
        self,
        function: Callable[[Stm[Data]], T],
        *,
        isolation: Isolation = Isolation.SERIALIZABLE_SNAPSHOT,
        prefetch: Iterable[Key] = (),
        attempts: int = ATTEMPTS_MAX,
    ) -> T:
        async def flow(attempt: stm_flows.Stm[Data]) -> T:
            return function(Stm(attempt))

        return finish(
            self._flow.stm(flow, isolation=isolation, prefetch=prefetch, attempts=attempts)
        )

    stm.__doc__ = synchronous(Primitives.stm.__doc__)

    # --- recipes ---

    @fronted(RecipeApi.session)
    def session(flow: lease_flows.Lease[Data]) -> Lease[Data]:
        return Lease(flow)

    @fronted(RecipeApi.lock)
    def lock(flow: lock_flows.Lock[Data]) -> Lock[Data]:
        return Lock(flow)

    @fronted(RecipeApi.read_lock)
    def read_lock(flow: lock_flows.Lock[Data]) -> Lock[Data]:
        return Lock(flow)

    @fronted(RecipeApi.write_lock)
    def write_lock(flow: lock_flows.Lock[Data]) -> Lock[Data]:
        return Lock(flow)

    @fronted(RecipeApi.semaphore)
    def semaphore(flow: lock_flows.Semaphore[Data]) -> Semaphore[Data]:
        return Semaphore(flow)

    @fronted(RecipeApi.election)
    def election(flow: election_flows.Election[Data]) -> Election[Data]:
        return Election(flow)

    barrier = made(RecipeApi.barrier, Barrier)
    double_barrier = made(RecipeApi.double_barrier, DoubleBarrier)
    counter = made(RecipeApi.counter, Counter)

    @fronted(RecipeApi.queue)
    def queue(flow: queues_flows.Queue[Data]) -> Queue[Data]:
        return Queue(flow)

    @fronted(RecipeApi.priority_queue)
    def priority_queue(flow: queues_flows.PriorityQueue[Data]) -> PriorityQueue[Data]:
        return PriorityQueue(flow)

    @fronted(RecipeApi.locking_queue)
    def locking_queue(flow: locking_queue_flows.LockingQueue[Data]) -> LockingQueue[Data]:
        return LockingQueue(flow)

    @fronted(RecipeApi.party)
    def party(flow: party_flows.Party[Data]) -> Party[Data]:
        return Party(flow)

    @fronted(RecipeApi.partitioner)
    def partitioner(flow: partitioner_flows.Partitioner[Data]) -> Partitioner[Data]:
        return Partitioner(flow)

    # --- members and single nodes ---

    member_list = blocking(UpkeepApi.member_list)
    member_add = blocking(UpkeepApi.member_add)
    member_remove = blocking(UpkeepApi.member_remove)
    member_replace = blocking(UpkeepApi.member_replace)
    member_rotate_key = blocking(UpkeepApi.member_rotate_key)
    member_update = blocking(UpkeepApi.member_update)
    member_promote = blocking(UpkeepApi.member_promote)
    move_leader = blocking(UpkeepApi.move_leader)
    status = blocking(UpkeepApi.status)
    hash = blocking(UpkeepApi.hash)
    hash_kv = blocking(UpkeepApi.hash_kv)
    defragment = blocking(UpkeepApi.defragment)
    snapshot_save = blocking(UpkeepApi.snapshot_save)
    alarm_list = blocking(UpkeepApi.alarm_list)
    alarm_activate = blocking(UpkeepApi.alarm_activate)
    alarm_disarm = blocking(UpkeepApi.alarm_disarm)

    # --- users and roles ---

    auth_enable = blocking(AccessApi.auth_enable)
    auth_disable = blocking(AccessApi.auth_disable)
    auth_status = blocking(AccessApi.auth_status)
    authenticate = blocking(AccessApi.authenticate)
    user_add = blocking(AccessApi.user_add)
    user_delete = blocking(AccessApi.user_delete)
    user_get = blocking(AccessApi.user_get)
    user_list = blocking(AccessApi.user_list)
    user_change_password = blocking(AccessApi.user_change_password)
    user_grant_role = blocking(AccessApi.user_grant_role)
    user_revoke_role = blocking(AccessApi.user_revoke_role)
    user_add_key = blocking(AccessApi.user_add_key)
    user_remove_key = blocking(AccessApi.user_remove_key)
    role_add = blocking(AccessApi.role_add)
    role_delete = blocking(AccessApi.role_delete)
    role_get = blocking(AccessApi.role_get)
    role_list = blocking(AccessApi.role_list)
    role_grant_permission = blocking(AccessApi.role_grant_permission)
    role_revoke_permission = blocking(AccessApi.role_revoke_permission)
    role_set_limits = blocking(AccessApi.role_set_limits)
