"""leasectl's commands in front of a probe node: outputs to the byte, error lines, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import click
import pytest

from cluster import __version__
from cluster.cli import COMMANDS, HELP
from cluster.cli.app import PROGRAM, Command, LazyGroup
from cluster.cli.global_flags import global_options
from tests.cluster.in_process import Leasectl, leasectl_for
from tests.cluster.probe import ProbeCluster, error
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


@pytest.fixture
def probes() -> Iterator[ProbeCluster]:
    with ProbeCluster(1) as probe_cluster:
        yield probe_cluster


@pytest.fixture
def leasectl(
    probes: ProbeCluster,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Leasectl:
    """Run a command line in this process, in front of the probe node."""
    return leasectl_for(probes.endpoints[0], capsysbinary, monkeypatch)


@contextmanager
def command(probes: ProbeCluster, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Leasectl as a process of its own, which ends with the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "cluster.cli", *arguments],
        env={**os.environ, "LEASECTL_ENDPOINTS": probes.endpoints[0]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(stream: IO[bytes] | None) -> bytes:
    """One line of a process's output."""
    assert stream is not None
    return stream.readline()


# --- put, get, del, compaction ---


def test_put_get_and_del_print_as_etcdctl_does(leasectl: Leasectl) -> None:
    assert leasectl("put", "/users/user1", "zs") == (b"OK\n", "", 0)
    assert leasectl("put", "/users/user2", "ls").stdout == b"OK\n"
    assert leasectl("put", "/users/user2", "LS", "--prev-kv").stdout == b"OK\n/users/user2\nls\n"
    both = b"/users/user1\nzs\n/users/user2\nLS\n"
    assert leasectl("get", "/users/", "--prefix").stdout == both
    assert leasectl("get", "/users/user1", "/users/user3").stdout == both
    assert leasectl("get", "", "--prefix=true").stdout == both
    assert leasectl("get", "--from-key", "/users/user2").stdout == b"/users/user2\nLS\n"
    assert leasectl("del", "/users/user1", "--prev-kv").stdout == b"1\n/users/user1\nzs\n"
    assert leasectl("del", "/users/", "--prefix").stdout == b"1\n"
    assert leasectl("get", "/users/", "--prefix") == (b"", "", 0)


def test_compaction_prints_one_line_in_every_format(
    leasectl: Leasectl, probes: ProbeCluster
) -> None:
    for value in "123":
        leasectl("put", "k", value)
    assert leasectl("compaction", "0") == (b"compacted revision 0\n", "", 0)
    assert leasectl("compact", "2", "--physical") == (b"compacted revision 2\n", "", 0)
    assert probes.nodes[0].requests[-1]["physical"] is True
    assert leasectl("comp", "3", "-w", "json").stdout == b"compacted revision 3\n"
    assert leasectl("-w", "table", "compaction", "4").stdout == b"compacted revision 4\n"


def test_get_prints_what_its_flags_ask_for(leasectl: Leasectl) -> None:
    for key in "abc":
        leasectl("put", key, key.upper())
    assert leasectl("get", "a", "--print-value-only").stdout == b"A\n"
    assert leasectl("get", "a", "--prefix", "--limit", "1").stdout == b"a\nA\n"
    assert leasectl("--hex=true", "get", "a").stdout == b"\\x61\n\\x41\n"
    fields = leasectl("get", "a", "z", "--count-only", "-w", "fields").stdout.splitlines()
    assert fields[-2:] == [b'"More" : false', b'"Count" : 3']


def test_get_sends_its_flags(leasectl: Leasectl, probes: ProbeCluster) -> None:
    leasectl("get", "a", "--rev=3", "--keys-only", "--consistency=s", "--limit=2")
    request = probes.nodes[0].requests[-1]
    del request["id"]
    flags = {"revision": 3, "keys_only": True, "serializable": True, "limit": 2}
    assert request == {"op": "range", "key": b"a", **flags}


@pytest.mark.parametrize("arguments", [("put", "k", "--", "-v"), ("put", "--", "k", "-v")])
def test_a_value_with_a_dash_goes_after_two(leasectl: Leasectl, arguments: tuple[str]) -> None:
    assert leasectl(*arguments).code == 0
    assert leasectl("get", "k").stdout == b"k\n-v\n"


def test_a_value_comes_from_standard_input(leasectl: Leasectl) -> None:
    assert leasectl("put", "k", stdin=b"a\0b\n").stdout == b"OK\n"
    assert leasectl("get", "k").stdout == b"k\na\0b\n\n"


def test_keys_and_values_may_be_any_bytes(leasectl: Leasectl) -> None:
    leasectl("put", os.fsdecode(b"\xff\x01"), os.fsdecode(b"\xfe"))
    assert leasectl("get", os.fsdecode(b"\xff"), "--prefix").stdout == b"\xff\x01\n\xfe\n"


def test_flags_may_stand_anywhere(leasectl: Leasectl, probes: ProbeCluster) -> None:
    probes.store.leases[0x1234] = 10
    endpoint = f"--endpoints={probes.endpoints[0]}"
    assert leasectl("put", "k", "v", "--lease=1234").code == 0
    assert leasectl("put", "--lease", "1234", "k", "v", endpoint).code == 0
    assert leasectl(endpoint, "--command-timeout=100s", "put", "k", "v", "--lease=1234").code == 0
    assert [put.get("lease") for put in probes.nodes[0].requests if put["op"] == "put"] == [
        0x1234
    ] * 3


def test_unique_prefixes_of_commands_are_enough(leasectl: Leasectl) -> None:
    assert leasectl("pu", "k", "v").stdout == b"OK\n"
    assert leasectl("le", "li").stdout == b"found 0 leases\n"


def test_json_is_what_etcdctl_prints(leasectl: Leasectl, probes: ProbeCluster) -> None:
    probes.store.leases[7] = 10
    header = '{"cluster_id":77,"member_id":1,"revision":%d,"raft_term":2}'
    leasectl("put", "key01", "value01", "--lease=7")
    expected = (
        '{"header":' + header % 2 + ',"kvs":[{"key":"a2V5MDE=","create_revision":2,'
        '"mod_revision":2,"version":1,"value":"dmFsdWUwMQ==","lease":7}],"count":1}\n'
    )
    assert leasectl("get", "key01", "-w", "json").stdout == expected.encode()
    empty = '{"header":' + header % 2 + "}\n"
    assert leasectl("get", "nothing", "-w", "json").stdout == empty.encode()
    assert leasectl("del", "nothing", "-w", "json").stdout == empty.encode()
    gone = json.loads(leasectl("del", "key01", "--prev-kv", "-w", "json").stdout)
    assert (gone["deleted"], gone["prev_kvs"][0]["lease"]) == (1, 7)


# --- leases ---


def test_lease_commands_print_as_etcdctl_does(leasectl: Leasectl) -> None:
    granted = leasectl("lease", "grant", "100").stdout
    lease = granted.split()[1].decode()
    assert granted == f"lease {lease} granted with TTL(100s)\n".encode()
    assert len(lease) == 16
    leasectl("put", "key5", "", f"--lease={lease}", stdin=b"")
    leasectl("put", "key6", "v", "--lease", lease)
    life = f"lease {lease} granted with TTL(100s), remaining(99s)"
    assert leasectl("lease", "timetolive", lease).stdout == f"{life}\n".encode()
    keys = leasectl("lease", "timetolive", lease, "--keys").stdout
    assert keys == f"{life}, attached keys([key5 key6])\n".encode()
    assert leasectl("lease", "list").stdout == f"found 1 leases\n{lease}\n".encode()
    once = leasectl("lease", "keep-alive", "--once", lease).stdout
    assert once == f"lease {lease} keepalived with TTL(100)\n".encode()
    assert leasectl("lease", "revoke", lease).stdout == f"lease {lease} revoked\n".encode()
    gone = f"lease {lease} already expired\n".encode()
    assert leasectl("lease", "timetolive", lease, "--keys") == (gone, "", 0)
    assert leasectl("lease", "keep-alive", lease).stdout == (
        f"lease {lease} expired or revoked.\n".encode()
    )


def test_lease_json_has_the_header_flattened(leasectl: Leasectl, probes: ProbeCluster) -> None:
    probes.store.leases[7] = 10
    flat = b'{"cluster_id":77,"member_id":1,"revision":1,"raft_term":2,'
    life = leasectl("lease", "timetolive", "7", "-w", "json").stdout
    assert life == flat + b'"id":7,"ttl":9,"granted-ttl":10,"keys":null}\n'
    assert leasectl("lease", "list", "-w", "json").stdout == flat + b'"leases":[{"id":7}]}\n'
    once = leasectl("lease", "keep-alive", "--once", "7", "-w", "json").stdout
    assert once == flat + b'"ID":7,"TTL":10}\n'


def test_fractions_of_a_second_are_shown_as_they_are(leasectl: Leasectl) -> None:
    assert leasectl("lease", "grant", "0.5").stdout.endswith(b"granted with TTL(0.5s)\n")


# --- members and endpoints ---


def test_members_are_listed_in_each_format(leasectl: Leasectl) -> None:
    assert leasectl("member", "list").stdout == (
        b"628170c800dbcee, started, n1, tcp://h1:2380, tcp://h1:2379, false\n"
        b"9e737febb6b99eee, unstarted, , tcp://h2:2380, , true\n"
    )
    assert leasectl("member", "list", "-w", "table").stdout.decode().splitlines() == [
        "+------------------+-----------+------+---------------+---------------+------------+",
        "|        ID        |  STATUS   | NAME |  PEER ADDRS   | CLIENT ADDRS  | IS LEARNER |",
        "+------------------+-----------+------+---------------+---------------+------------+",
        "|  628170c800dbcee |   started |   n1 | tcp://h1:2380 | tcp://h1:2379 |      false |",
        "| 9e737febb6b99eee | unstarted |      | tcp://h2:2380 |               |       true |",
        "+------------------+-----------+------+---------------+---------------+------------+",
    ]
    members = json.loads(leasectl("member", "list", "-w", "json").stdout)
    assert members["header"] == {"cluster_id": 77, "member_id": 1, "raft_term": 2}
    assert members["members"][1] == {
        "ID": 0x9E737FEBB6B99EEE,
        "peerURLs": ["tcp://h2:2380"],
        "isLearner": True,
    }
    in_hex = json.loads(leasectl("member", "list", "-w", "json", "--hex").stdout)
    assert in_hex["members"][0]["ID"] == "628170c800dbcee"


def test_a_member_is_added_with_what_it_needs_to_start(leasectl: Leasectl) -> None:
    added = leasectl("member", "add", "n3", "--peer-urls=http://h4:2380,tcp://h3:2380")
    lines = added.stdout.decode().splitlines()
    assert lines == [
        "Member c0ffee00c0ffee02 added to cluster               4d",
        "",
        'ETCD_NAME="n3"',
        'ETCD_INITIAL_CLUSTER="n1=tcp://h1:2380,=tcp://h2:2380,n3=tcp://h3:2380,n3=http://h4:2380"',
        'ETCD_INITIAL_ADVERTISE_PEER_URLS="tcp://h3:2380,http://h4:2380"',
        'ETCD_INITIAL_CLUSTER_STATE="existing"',
    ]
    learner = leasectl("member", "add", "n4", "--learner", "--peer-urls", "tcp://h5:2380").stdout
    assert learner.startswith(b"Member c0ffee00c0ffee03 added as learner to cluster ")
    assert b'ETCD_NAME="n4"' in learner


def test_members_are_changed_as_etcdctl_says_it(leasectl: Leasectl) -> None:
    member, cluster_id = "9e737febb6b99eee", "              4d"
    for arguments, done in (
        (["update", member, "--peer-urls=tcp://h8:1"], "updated in"),
        (["promote", member], "promoted in"),
        (["remove", member], "removed from"),
    ):
        line_of = f"Member {member} {done} cluster {cluster_id}\n"
        assert leasectl("member", *arguments) == (line_of.encode(), "", 0)
    replaced = leasectl("member", "replace", "628170c800dbcee", "n9", "--peer-urls=tcp://h9:1")
    assert replaced.stdout.decode().splitlines()[:3] == [
        "Member  628170c800dbcee replaced by c0ffee00c0ffee00 in cluster               4d",
        "",
        'ETCD_NAME="n9"',
    ]


def test_changes_of_members_in_json_have_etcds_fields(leasectl: Leasectl) -> None:
    urls = "--peer-urls=tcp://h3:2380"
    added = json.loads(leasectl("member", "add", "n3", urls, "-w", "json").stdout)
    assert list(added) == ["header", "member", "members"]
    assert added["header"] == {"cluster_id": 77, "member_id": 1, "raft_term": 2}
    assert added["member"] == {"ID": 0xC0FFEE00C0FFEE02, "peerURLs": ["tcp://h3:2380"]}
    assert added["members"][2] == added["member"]
    removed = leasectl("member", "remove", "c0ffee00c0ffee02", "-w", "json", "--hex").stdout
    assert [member["ID"] for member in json.loads(removed)["members"]] == [
        "628170c800dbcee",
        "9e737febb6b99eee",
    ]


def test_a_format_that_has_no_form_is_refused_before_anything_is_done(
    leasectl: Leasectl, probes: ProbeCluster
) -> None:
    for write_out in ("fields", "table"):
        text = f"Error: {write_out} not supported as output format\n"
        for arguments in (
            ("member", "remove", "1"),
            ("member", "add", "n3", "--peer-urls=tcp://h:1"),
            ("move-leader", "2"),
        ):
            assert leasectl(*arguments, "-w", write_out) == (b"", text, 4)
    assert probes.nodes[0].requests == []


def test_a_new_leader_is_told_with_the_old_one(leasectl: Leasectl, probes: ProbeCluster) -> None:
    text = "Leadership transferred from                1 to c0ffee00c0ffee00\n"
    assert leasectl("move-leader", "c0ffee00c0ffee00") == (text.encode(), "", 0)
    assert leasectl("move-leader", "1", "-w", "json").stdout == b"{}\n"
    probes.nodes[0].member_id = 2
    text = f"Error: no leader endpoint given at [{probes.endpoints[0]}]\n"
    assert leasectl("move-leader", "1") == (b"", text, 128)


def test_endpoint_status_prints_one_row_for_each(leasectl: Leasectl, probes: ProbeCluster) -> None:
    endpoint = probes.endpoints[0]
    row = f"{endpoint}, 1, 0.1.0, 20 kB, true, false, 2, 8, 8, \n"
    assert leasectl("endpoint", "status").stdout == row.encode()
    (status,) = json.loads(leasectl("endpoint", "status", "-w", "json").stdout)
    assert status["Endpoint"] == endpoint
    assert status["Status"]["dbSize"] == 20_480


def test_an_endpoint_that_is_down_is_reported_and_the_others_shown(
    leasectl: Leasectl, probes: ProbeCluster
) -> None:
    both = f"--endpoints={probes.endpoints[0]},127.0.0.1:1"
    status = leasectl("endpoint", "status", both, "--dial-timeout=1s")
    assert status.stdout.count(b"\n") == 1
    assert status.stderr.startswith(
        "Failed to get the status of endpoint 127.0.0.1:1 (context deadline exceeded"
    )
    assert status.code == 1
    health = leasectl("endpoint", "health", both, "--dial-timeout=1s")
    healthy = f"{probes.endpoints[0]} is healthy: successfully committed proposal: took = "
    assert health.stdout.startswith(healthy.encode())
    assert "127.0.0.1:1 is unhealthy: failed to commit proposal: context d" in health.stderr
    assert health.stderr.endswith("\nError: unhealthy cluster\n")
    assert health.code == 1


def test_a_member_is_listed_by_its_front_and_not_once_more_directly(
    leasectl: Leasectl, probes: ProbeCluster
) -> None:
    url = f"http://{probes.endpoints[0]}"
    probes.store.members[0]["clientURLs"] = [url, "tcp://127.0.0.1:1"]
    ended = leasectl("endpoint", "health", "--cluster")
    assert ended.code == 0
    (line_of_front,) = (ended.stdout.decode() + ended.stderr).splitlines()
    assert line_of_front.startswith(f"{url} is healthy")


def test_endpoint_health_has_its_other_formats(leasectl: Leasectl) -> None:
    (row,) = json.loads(leasectl("endpoint", "health", "-w", "json").stdout)
    assert row["health"] is True
    assert row["took"].endswith("s")
    table = leasectl("endpoint", "health", "-w", "table").stdout.splitlines()
    assert table[1].split() == [b"|", *b"ENDPOINT | HEALTH | TOOK | ERROR |".split()]


def commands(group: LazyGroup, name: str = "") -> Iterator[tuple[str, Command]]:
    """Every command, by its words."""
    context = click.Context(group)
    for word in group.table:
        command = group.get_command(context, word)
        if isinstance(command, LazyGroup):
            yield from commands(command, f"{name}{word} ")
        elif isinstance(command, Command):
            yield f"{name}{word}", command


def test_no_flag_of_a_command_has_the_name_of_a_flag_of_all() -> None:
    shared = {name for option in global_options() for name in option.opts}
    for name, command in commands(LazyGroup(PROGRAM, HELP, COMMANDS)):
        own = {flag for each in command.alone().params for flag in each.opts}
        assert not own & shared, name


def test_version_needs_no_cluster(leasectl: Leasectl) -> None:
    api, _, _ = __version__.rpartition(".")
    said = f"leasectl version: {__version__}\nAPI version: {api}\n"
    assert leasectl("version").stdout == said.encode()


# --- errors ---

PUT_USAGE = "put command needs 1 argument and input from stdin or 2 arguments"
GET_USAGE = "get command needs one argument as key and an optional argument as range_end"
ONE_OF_TWO = "`--prefix` and `--from-key` cannot be set at the same time, choose one"
KEYS_OR_COUNT = "`--keys-only` and `--count-only` cannot be set at the same time, choose one"
IGNORES_VALUE = "put command needs only 1 argument when 'ignore-value' is set"
ONLY_SIMPLE = "print-value-only is only for `--write-out=simple`"
TOO_MANY = "too many arguments, only accept one argument when `--prefix` or `--from-key` is set"
BOOLEAN = 'strconv.ParseBool: parsing "zz": invalid syntax'
NO_UNIT = 'time: missing unit in duration "5"'
UNKNOWN = 'unknown command "bogus" for "leasectl"'
SYNTAX = 'strconv.ParseInt: parsing "zz": invalid syntax'


TOO_LARGE = 'strconv.ParseInt: parsing "99999999999999999999": value out of range'
NO_MEMBER = 'strconv.ParseUint: parsing "zz": invalid syntax'
BAD_MEMBER = f"bad member ID arg ({NO_MEMBER}), expecting ID in Hex"
TOO_LONG_MEMBER = BAD_MEMBER.replace("zz", "12345678901234567").replace(
    "invalid syntax", "value out of range"
)


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ("put", PUT_USAGE, 128),
        ("put k", PUT_USAGE, 128),
        ("put --ignore-value k v", IGNORES_VALUE, 128),
        ("put --lease=zz k v", f"bad lease ID ({SYNTAX}), expecting ID in Hex", 128),
        ("put k -v", "unknown shorthand flag: 'v' in -v", 1),
        ("get", GET_USAGE, 128),
        ("get --prefix --from-key k", ONE_OF_TWO, 128),
        ("get --prefix a b", TOO_MANY, 128),
        ("get --keys-only --count-only k", KEYS_OR_COUNT, 128),
        ("get k --count-only", "--count-only is only for `--write-out=fields`", 128),
        ("get k --print-value-only -w json", ONLY_SIMPLE, 128),
        ("get k --consistency=x", 'unknown consistency flag "x"', 4),
        ("get k -w table", "table not supported as output format", 4),
        ("get k -w bogus", "unsupported output format", 4),
        ("get k --bogus=1", "unknown flag: --bogus", 1),
        ("get k --limit", "flag needs an argument: --limit", 1),
        ("get k --limit zz", f'invalid argument "zz" for "--limit" flag: {SYNTAX}', 1),
        ("get k --prefix=zz", f'invalid argument "zz" for "--prefix" flag: {BOOLEAN}', 1),
        ("get k --dial-timeout=5", f'invalid argument "5" for "--dial-timeout" flag: {NO_UNIT}', 1),
        ("del", GET_USAGE.replace("get", "del", 1), 128),
        ("del a b c", GET_USAGE.replace("get", "del", 1), 128),
        ("watch", "bad number of arguments", 128),
        ("watch --prefix a b", "`range_end` and `--prefix` are mutually exclusive", 128),
        ("lease grant", "lease grant command needs TTL argument", 128),
        ("lease grant zz", f"bad TTL ({SYNTAX})", 128),
        ("lease revoke", "lease revoke command needs 1 argument", 128),
        ("lease revoke zz", f"bad lease ID arg ({SYNTAX}), expecting ID in Hex", 128),
        ("lease revoke 1", "failed to revoke lease (etcdserver: requested lease not found)", 1),
        ("lease timetolive", "lease timetolive command needs lease ID as argument", 128),
        ("lease keep-alive", "lease keep-alive command needs lease ID as argument", 128),
        ("lease keep-alive --once 1", "etcdserver: requested lease not found", 2),
        ("member add", "member name not provided", 128),
        ("member add n4", "member peer urls not provided", 128),
        ("member add n4 --peer-urls=", "member peer urls not provided", 128),
        ("member add n4 x --peer-urls=tcp://h:1", "too many arguments", 128),
        ("member add n4 --peer-urls=foo", "URL scheme must be tcp or http: foo", 1),
        ("member add n4 --peer-urls=tcp://h1:2380", "etcdserver: Peer URLs already exists", 1),
        ("member remove", "member ID is not provided", 128),
        ("member remove zz", BAD_MEMBER, 128),
        ("member remove -- -1", BAD_MEMBER.replace("zz", "-1"), 128),
        ("member remove 12345678901234567", TOO_LONG_MEMBER, 128),
        ("member remove 12345", "etcdserver: member not found", 1),
        ("member update", "member ID is not provided", 128),
        ("member update abc", "member peer urls not provided", 128),
        ("member update zz --peer-urls=tcp://h:1", BAD_MEMBER, 128),
        ("member promote", "member ID is not provided", 128),
        ("member promote zz", BAD_MEMBER, 128),
        ("member promote 628170c800dbcee", "etcdserver: can only promote a learner member", 1),
        ("member replace 1", "member name not provided", 128),
        ("member replace 1 n4", "member peer urls not provided", 128),
        ("member replace 1 n4 --peer-urls=tcp://h:1", "etcdserver: member not found", 1),
        ("compaction", "compaction command needs 1 argument", 128),
        ("compaction 1 2", "compaction command needs 1 argument", 128),
        ("compaction a", 'strconv.ParseInt: parsing "a": invalid syntax', 1),
        ("compaction 0x5", 'strconv.ParseInt: parsing "0x5": invalid syntax', 1),
        ("compaction 99999999999999999999", TOO_LARGE, 1),
        ("compaction -1", "unknown shorthand flag: '1' in -1", 1),
        ("compaction -- -1", "etcdserver: mvcc: required revision has been compacted", 1),
        ("compact 99", "etcdserver: mvcc: required revision is a future revision", 1),
        ("move-leader", "move-leader command needs 1 argument", 128),
        ("move-leader 1 2", "move-leader command needs 1 argument", 128),
        ("move-leader zz", NO_MEMBER, 128),
        ("--endpoints=x get k", "endpoint 'x' is not host:port", 2),
        ("bogus", f"{UNKNOWN}\nRun 'leasectl --help' for usage.", 1),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_etcdctls_text_and_code(
    leasectl: Leasectl, arguments: str, message: str, code: int
) -> None:
    assert leasectl(*arguments.split()) == (b"", f"Error: {message}\n", code)


def test_a_servers_error_is_shown_as_it_is(leasectl: Leasectl, probes: ProbeCluster) -> None:
    text = "etcdserver: mvcc: required revision has been compacted"
    probes.nodes[0].script = lambda request: error(11, text)
    assert leasectl("get", "k", "--rev=2") == (b"", f"Error: {text}\n", 1)


def test_a_grant_that_is_refused_says_so(leasectl: Leasectl, probes: ProbeCluster) -> None:
    probes.nodes[0].script = lambda request: (
        error(11, "etcdserver: too large lease TTL") if "TTL" in request else True
    )
    ended = leasectl("lease", "grant", "9000000001")
    assert ended.stderr == "Error: failed to grant lease (etcdserver: too large lease TTL)\n"
    assert ended.code == 1


def test_a_cluster_that_is_not_there_is_an_error_in_time(leasectl: Leasectl) -> None:
    ended = leasectl("get", "k", "--endpoints=127.0.0.1:1", "--dial-timeout=50ms")
    reason = "no endpoint answered within 0.05 s (127.0.0.1:1)"
    assert ended == (b"", f"Error: context deadline exceeded: {reason}\n", 1)
    # This one is a TimeoutError, too, and so an OSError, but none of the output.
    ended = leasectl("get", "k", "--endpoints=127.0.0.1:1", "--command-timeout=50ms")
    reason = "no endpoint answered (127.0.0.1:1)"
    assert ended == (b"", f"Error: context deadline exceeded: {reason}\n", 1)


def test_help_lists_the_commands(leasectl: Leasectl) -> None:
    for arguments in ((), ("--help",), ("lease",), ("lease", "grant", "-h")):
        ended = leasectl(*arguments)
        assert (ended.code, ended.stderr) == (0, "")
        assert ended.stdout.startswith(b"Usage: leasectl")
    assert b"keep-alive" in leasectl("lease").stdout


def test_help_is_about_any_command(leasectl: Leasectl) -> None:
    assert leasectl("help") == leasectl("--help")
    assert leasectl("help", "lease", "grant") == leasectl("lease", "grant", "--help")
    assert leasectl("help", "lease", "nothing") == leasectl("lease", "--help")
    unknown = leasectl("help", "no", "such")
    assert (unknown.stderr, unknown.code) == ("Unknown help topic [`no` `such`]\n", 0)


# --- what follows: watch and keep-alive, as processes ---


def put(probes: ProbeCluster, key: bytes, value: bytes) -> None:
    """Change the probes' store behind everybody's back."""
    probes.store.apply({"op": "put", "key": key, "value": value})


def test_watch_prints_each_event_as_it_comes_until_ctrl_c(probes: ProbeCluster) -> None:
    put(probes, b"/users/user1", b"zs")
    with command(probes, "watch", "/users/", "--prefix", "--rev=1") as process:
        assert [line(process.stdout) for _ in range(3)] == [b"PUT\n", b"/users/user1\n", b"zs\n"]
        probes.store.apply({"op": "delete_range", "key": b"/users/user1"})
        deleted = [line(process.stdout) for _ in range(3)]
        assert deleted == [b"DELETE\n", b"/users/user1\n", b"\n"]
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=HANG_SECONDS) == (b"", b"")
    assert process.returncode == 130


def test_watch_json_is_what_etcdctl_prints(probes: ProbeCluster) -> None:
    put(probes, b"k", b"v")
    with command(probes, "watch", "k", "--rev=1", "-w", "json") as process:
        printed = line(process.stdout)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=HANG_SECONDS)
    assert printed == (
        b'{"Header":{"cluster_id":77,"member_id":1,"revision":2,"raft_term":2},"Events":[{"kv":'
        b'{"key":"aw==","create_revision":2,"mod_revision":2,"version":1,"value":"dg=="}}],'
        b'"CompactRevision":0,"Canceled":false,"Created":false}\n'
    )


def test_a_watch_that_the_server_ends_says_why(probes: ProbeCluster) -> None:
    put(probes, b"k", b"v")
    with command(probes, "watch", "k", "--rev=1") as process:
        assert line(process.stdout) == b"PUT\n"
        probes.nodes[0].cancel_watches("", compact_revision=9)
        _, errors = process.communicate(timeout=HANG_SECONDS)
    reason = "etcdserver: mvcc: required revision has been compacted"
    assert errors.decode() == (
        f"watch was canceled ({reason})\nError: watch is canceled by the server\n"
    )
    assert process.returncode == 5


def test_keep_alive_goes_on_every_third_of_the_ttl_until_ctrl_c(probes: ProbeCluster) -> None:
    probes.store.leases[0x1234] = 0.15
    with command(probes, "lease", "keep-alive", "1234") as process:
        for _ in range(3):
            assert line(process.stdout) == b"lease 0000000000001234 keepalived with TTL(0.15)\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=HANG_SECONDS)[1] == b""
    assert process.returncode == 130


def test_keep_alive_ends_with_its_lease(probes: ProbeCluster) -> None:
    probes.store.leases[0x1234] = 0.15
    with command(probes, "lease", "keep-alive", "1234") as process:
        assert b"keepalived" in line(process.stdout)
        probes.store.leases.clear()
        output, errors = process.communicate(timeout=HANG_SECONDS)
    assert output.endswith(b"lease 0000000000001234 expired or revoked.\n")
    assert (errors, process.returncode) == (b"", 0)


def test_a_closed_pipe_ends_a_command_quietly(probes: ProbeCluster) -> None:
    put(probes, b"k", b"v")
    with command(probes, "watch", "k", "--rev=1") as process:
        assert line(process.stdout) == b"PUT\n"
        assert process.stdout is not None
        process.stdout.close()
        put(probes, b"k", b"w")
        assert process.wait(timeout=HANG_SECONDS) == 141
        assert line(process.stderr) == b""
