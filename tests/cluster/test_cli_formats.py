"""leasectl's other formats: messages of protobuf, readable lines of JSON, and trees."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.cli.jsonl_printer import JsonlPrinter
from cluster.cli.protobuf_printer import ProtobufPrinter
from cluster.cli.readable import bytes_field, bytes_of
from cluster.cli.tree import tree
from cluster.client.results import Event, Header, KeyValue, WatchBatch
from cluster.etcd.rpc.schema import message_class
from tests.cluster.in_process import Leasectl, leasectl_for
from tests.cluster.probe import ProbeCluster

HEADER = Header(77, 1, 5, 2)


@pytest.fixture
def probes() -> Iterator[ProbeCluster]:
    with ProbeCluster(1) as cluster:
        yield cluster


@pytest.fixture
def leasectl(
    probes: ProbeCluster,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Leasectl:
    return leasectl_for(probes.endpoints[0], capsysbinary, monkeypatch)


def message(name: str, raw: bytes) -> Any:
    """The message of etcd with this name that the bytes are."""
    return message_class(f"etcdserverpb.{name}").FromString(raw)


def lines(raw: bytes) -> list[Any]:
    """The objects, one a line."""
    return [json.loads(line) for line in raw.splitlines()]


# --- protobuf ---


def test_protobuf_is_the_message_of_etcd(leasectl: Leasectl, probes: ProbeCluster) -> None:
    probes.store.leases[7] = 10
    put = message("PutResponse", leasectl("put", "k", "v", "--lease=7", "-w", "protobuf").stdout)
    assert (put.header.cluster_id, put.header.revision) == (77, 2)
    got = message("RangeResponse", leasectl("get", "k", "-w", "protobuf").stdout)
    assert [(kv.key, kv.value, kv.lease) for kv in got.kvs] == [(b"k", b"v", 7)]
    assert (got.count, got.more, got.header.raft_term) == (1, False, 2)
    raw = leasectl("del", "k", "--prev-kv", "-w", "protobuf").stdout
    gone = message("DeleteRangeResponse", raw)
    assert (gone.deleted, gone.prev_kvs[0].value) == (1, b"v")
    life = leasectl("lease", "timetolive", "7", "-w", "protobuf").stdout
    assert message("LeaseTimeToLiveResponse", life).grantedTTL == 10
    leases = message("LeaseLeasesResponse", leasectl("lease", "list", "-w", "protobuf").stdout)
    assert [lease.ID for lease in leases.leases] == [7]


def test_protobuf_of_a_fraction_of_a_second_is_the_whole_second_above(leasectl: Leasectl) -> None:
    granted = leasectl("lease", "grant", "0.5", "-w", "protobuf").stdout
    assert message("LeaseGrantResponse", granted).TTL == 1


def test_protobuf_of_members_has_their_urls_and_no_revision(leasectl: Leasectl) -> None:
    listed = message("MemberListResponse", leasectl("member", "list", "-w", "protobuf").stdout)
    assert [list(member.peerURLs) for member in listed.members] == [
        ["tcp://h1:2380"],
        ["tcp://h2:2380"],
    ]
    assert listed.members[1].isLearner
    assert (listed.header.revision, listed.header.cluster_id) == (0, 77)


def test_protobuf_of_a_watch_has_its_events(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    printer = ProtobufPrinter(False)
    kv = KeyValue(b"k", b"", 0, 5, 0, 0)
    printer.watch(WatchBatch(HEADER, (Event("DELETE", kv, None, "deleted"),)))
    response = message("WatchResponse", capsysbinary.readouterr().out)
    assert [(event.type, event.kv.key) for event in response.events] == [(1, b"k")]
    printer.watch_canceled(HEADER, 3)
    response = message("WatchResponse", capsysbinary.readouterr().out)
    assert (response.canceled, response.compact_revision) == (True, 3)


@pytest.mark.parametrize("words", ["incr n", "endpoint status", "move-leader 1", "get k --history"])
def test_what_etcd_has_no_message_for_is_refused(leasectl: Leasectl, words: str) -> None:
    text = "Error: protobuf not supported as output format\n"
    assert leasectl(*words.split(), "-w", "protobuf") == (b"", text, 4)


# --- lines of JSON ---


def test_jsonl_is_one_readable_object_a_key(leasectl: Leasectl, probes: ProbeCluster) -> None:
    probes.store.leases[0x1234] = 10
    leasectl("put", "a/1", "é", "--lease=1234")
    leasectl("put", "a/2", os.fsdecode(b"\xff"))
    assert leasectl("get", "a/", "--prefix", "-w", "jsonl").stdout.decode().splitlines() == [
        '{"key":"a/1","create_revision":2,"mod_revision":2,"version":1,"value":"é","lease":"1234"}',
        '{"key":"a/2","create_revision":3,"mod_revision":3,"version":1,"value_base64":"/w=="}',
    ]
    assert leasectl("get", "b", "-w", "jsonl") == (b"", "", 0)
    (gone,) = lines(leasectl("del", "a/2", "--prev-kv", "-w", "jsonl").stdout)
    assert (gone["deleted"], gone["prev_kvs"][0]["key"]) == (1, "a/2")


def test_jsonl_has_one_object_for_each_lease_and_member(leasectl: Leasectl) -> None:
    (granted,) = lines(leasectl("lease", "grant", "10", "-w", "jsonl").stdout)
    assert granted["TTL"] == 10
    (listed,) = lines(leasectl("lease", "list", "-w", "jsonl").stdout)
    assert listed == {"ID": granted["ID"]}
    first, second = lines(leasectl("member", "list", "-w", "jsonl").stdout)
    assert (first["ID"], second["peerURLs"]) == ("628170c800dbcee", ["tcp://h2:2380"])
    (status,) = lines(leasectl("endpoint", "status", "-w", "jsonl").stdout)
    assert (status["ID"], status["dbSize"]) == ("1", 20_480)


def test_jsonl_of_a_watch_is_one_object_an_event(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    before = KeyValue(b"k", b"v", 2, 2, 1, 0)
    put = Event("PUT", before._replace(value=b"w", mod_revision=4, version=2), before, "")
    delete = Event("DELETE", KeyValue(b"k", b"", 0, 5, 0, 0), None, "lease expired")
    JsonlPrinter(False).watch(WatchBatch(HEADER, (put, delete)))
    first, second = lines(capsysbinary.readouterr().out)
    assert (first["type"], first["value"], first["prev_kv"]["value"]) == ("PUT", "w", "v")
    reason = "lease expired"
    assert second == {"type": "DELETE", "key": "k", "mod_revision": 5, "reason": reason}


@pytest.mark.parametrize("raw", [b"", b"text", b"\xff\x00", "é".encode()])
def test_readable_fields_hold_any_bytes(raw: bytes) -> None:
    assert bytes_of(bytes_field("value", raw), "value") == raw


@pytest.mark.parametrize(
    "fields", [{}, {"v": 1}, {"v": "a", "v_base64": "YQ=="}, {"v_base64": "%"}]
)
def test_other_fields_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        bytes_of(fields, "v")


def test_jsonl_has_an_object_for_the_progress_of_a_watch(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    JsonlPrinter(False).watch_progress(5)
    assert lines(capsysbinary.readouterr().out) == [{"type": "PROGRESS", "revision": 5}]
    ProtobufPrinter(False).watch_progress(5)
    assert capsysbinary.readouterr().out == b"progress notify: 5\n"


# --- trees ---


def test_a_tree_has_a_branch_for_each_slash(leasectl: Leasectl) -> None:
    for key in ("/users/user1", "/users/user2", "/users/team/x", "plain", "plain/", "a\n/b"):
        leasectl("put", key, "v")
    assert leasectl("get", "", "--prefix", "--tree").stdout.decode().splitlines() == [
        "/users/",
        "├── team/",
        "│   └── x",
        "├── user1",
        "└── user2",
        r"a\n/",
        "└── b",
        "plain",
        "plain/",
        '└── ""',
    ]
    assert leasectl("get", "nothing", "--tree") == (b"", "", 0)


def test_a_tree_may_be_thousands_of_slashes_deep() -> None:
    assert list(tree([b"/" * 5_000 + b"x", b"/y"]))[-1] == "└── y"


def test_a_tree_is_for_people(leasectl: Leasectl) -> None:
    refused = leasectl("get", "k", "--tree", "-w", "json")
    assert refused == (b"", "Error: tree is only for `--write-out=simple`\n", 128)
