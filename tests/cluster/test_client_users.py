"""A client with a user, of a real node that checks requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from cluster import (
    AuthenticationError,
    Client,
    InvalidArgumentError,
    LeaseholdError,
    PermissionDeniedError,
    ResourceExhaustedError,
)
from cluster.bench import load, workload
from cluster.bench.wires import Wires
from cluster.cli.observer import Observer
from cluster.client.auth_results import Permission, RoleLimits
from cluster.launcher.local import LocalCluster
from tests.cluster.probe import until
from tests.cluster.shells import SHELLS, run
from tests.limits import HANG_SECONDS, PATIENT

pytestmark = pytest.mark.process

ROOT: Final[dict[str, Any]] = {"user": "root", "password": "rootpw"}
ALICE: Final[dict[str, Any]] = {"user": "alice", "password": "pw"}
MINE: Final = "alice/"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One node, whose passwords cost as little as they may."""
    folder: Path = tmp_path_factory.mktemp("node")
    with LocalCluster(size=1, data_dir=folder, node_flags=["--bcrypt-cost=4"]) as cluster:
        yield cluster


@pytest.fixture
def root(node: LocalCluster) -> Iterator[Client]:
    """The client of root. Requests are checked, and alice may read and write her own keys."""
    with Client(node.endpoints) as open_client:
        for name in open_client.user_list().users:
            open_client.user_delete(name)
        for name in open_client.role_list().roles:
            open_client.role_delete(name)
        open_client.user_add("root", ROOT["password"])
        open_client.user_grant_role("root", "root")
        open_client.role_add("her own")
        open_client.role_grant_permission("her own", "READWRITE", MINE, prefix=True)
        open_client.user_add("alice", ALICE["password"])
        open_client.user_grant_role("alice", "her own")
        open_client.auth_enable()
    with Client(node.endpoints, **ROOT, **PATIENT) as client:
        yield client
        client.auth_disable()


@pytest.fixture
def alice(node: LocalCluster, root: Client) -> Iterator[Client]:
    with Client(node.endpoints, **ALICE, **PATIENT) as client:
        yield client


def end_all_tokens(root: Client) -> None:
    """Switch authentication off and on: no token of before is worth anything then."""
    root.auth_disable()
    root.auth_enable()


def test_users_and_roles_are_as_they_were_made(root: Client) -> None:
    key = bytes(range(32))
    root.user_add("bob")
    root.user_add_key("bob", key)
    root.user_grant_role("bob", "her own")
    assert root.user_get("bob")[1:] == (("her own",), (key,))
    root.user_remove_key("bob", key)
    root.user_revoke_role("bob", "her own")
    assert root.user_get("bob")[1:] == ((), ())
    root.role_grant_permission("her own", "READ", "x", from_key=True)
    root.role_grant_permission("her own", "WRITE", None)
    root.role_revoke_permission("her own", MINE, prefix=True)
    assert root.role_get("her own").perm == (
        Permission("WRITE", b"\0", b"\0"),
        Permission("READ", b"x", b"\0"),
    )
    assert root.user_list().users == ("alice", "bob", "root")
    assert root.role_list().roles == ("her own",)
    assert root.auth_status().enabled
    root.role_delete("her own")
    root.user_delete("bob")


def test_a_role_limits_what_each_of_its_users_may_take(root: Client, alice: Client) -> None:
    assert root.role_get("her own").limits == RoleLimits()
    root.role_set_limits("her own", requests_per_second=50, leases=1)
    assert root.role_get("her own").limits == RoleLimits(50, 0, 0, 1)
    lease = alice.lease.grant(60)
    with pytest.raises(ResourceExhaustedError, match="as many leases as its roles allow") as raised:
        alice.put(MINE + "k", "v", ttl=60)
    assert not raised.value.retryable
    lease.revoke()
    alice.put(MINE + "k", "v", ttl=60)
    # More than may come at once: the client waits until each is let in.
    revisions = [alice.put(MINE + "k", str(number)).header.revision for number in range(60)]
    assert revisions == list(range(revisions[0], revisions[0] + 60))
    root.role_set_limits("her own")
    assert root.role_get("her own").limits == RoleLimits()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_client_may_do_what_its_user_may(node: LocalCluster, root: Client, shell: str) -> None:
    async def test(client: Any) -> None:
        await client.put(MINE + "k", "1")
        assert (await client.get(MINE + "k")).value == b"1"
        for forbidden in (client.put("k", "1"), client.get("k"), client.user_list()):
            with pytest.raises(PermissionDeniedError, match="permission denied"):
                await forbidden

    run(shell, node.endpoints, test, **ALICE)


def test_nobody_may_do_anything_and_a_wrong_password_is_told(
    node: LocalCluster, root: Client
) -> None:
    with Client(node.endpoints) as nobody, pytest.raises(InvalidArgumentError, match="user name"):
        nobody.put("k", "1")
    for user, password in (("alice", "wrong"), ("missing", "pw")):
        with Client(node.endpoints, user=user, password=password) as stranger:
            for call in (stranger.log_in, lambda: stranger.put("k", "1")):
                with pytest.raises(AuthenticationError, match="authentication failed"):
                    call()


def test_writes_watches_and_leases_go_on_over_a_login(root: Client, alice: Client) -> None:
    lease = alice.lease.grant(60).keep_alive()
    watch = alice.watch(MINE, prefix=True)
    for number in range(3):
        alice.put(f"{MINE}held/{number}", "v", lease=lease)
        end_all_tokens(root)
        assert alice.lease.keep_alive_once(lease.id).ttl == 60
    seen = [watch.get(HANG_SECONDS).kv.key for _ in range(3)]
    assert seen == [f"{MINE}held/{number}".encode() for number in range(3)]
    assert not lease.lost.is_set()
    watch.cancel()
    lease.revoke()
    assert not alice.range(MINE + "held/", prefix=True)


def test_a_watch_ends_with_the_right_to_its_keys(root: Client, alice: Client) -> None:
    with pytest.raises(PermissionDeniedError):
        alice.watch("k")
    with alice.watch(MINE, prefix=True) as watch:
        root.user_revoke_role("alice", "her own")
        with pytest.raises(PermissionDeniedError):
            watch.get(HANG_SECONDS)


def test_a_user_that_is_gone_is_nobody(root: Client, alice: Client) -> None:
    alice.put(MINE + "k", "1")
    root.user_delete("alice")
    with pytest.raises(LeaseholdError) as refused:
        alice.put(MINE + "k", "2")
    assert isinstance(refused.value, AuthenticationError)


def test_another_password_needs_another_client(node: LocalCluster, root: Client) -> None:
    with Client(node.endpoints, user="alice", password="pw") as client:
        client.get(MINE)
        root.user_change_password("alice", "new")
        with pytest.raises(AuthenticationError):
            client.get(MINE)
    with Client(node.endpoints, user="alice", password="new") as client:
        client.get(MINE)


def test_a_load_is_put_on_the_cluster_as_a_user(node: LocalCluster, root: Client) -> None:
    root.role_grant_permission("her own", "READWRITE", workload.KEY_PREFIX, prefix=True)
    puts = workload.puts(10, 10, Random(1))
    addresses = [f"tcp://{node.endpoints[0]}"]
    with Wires(addresses, 1, credentials=("alice", "pw")) as wires:
        assert not load.run("put", wires, puts, 50, 5).errors
    with Wires(addresses, 1) as wires:
        assert load.run("put", wires, puts, 50, 5).errors == {"etcdserver: user name is empty": 50}


def test_who_looks_at_all_members_logs_in_and_does_so_again(
    node: LocalCluster, root: Client
) -> None:
    seen: set[int | None] = {None}

    def is_hashed_anew() -> bool:
        observer.serve(time.monotonic() + 0.05)
        (member,) = observer.view(time.monotonic()).nodes
        is_new = member.hash not in seen
        seen.add(member.hash)
        return is_new

    root.put("first", "1")
    addresses = {"n1": f"tcp://{node.endpoints[0]}"}
    observer = Observer(addresses, credentials=(ROOT["user"], ROOT["password"]))
    try:
        until(is_hashed_anew)
        root.auth_disable()
        root.auth_enable()  # no token from before counts
        root.put("second", "2")
        until(is_hashed_anew)
    finally:
        observer.close()
