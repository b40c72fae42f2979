"""The key browser's requests, on a real cluster of one node: keys, changes, leases, mistakes."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from cluster.client.api import Client
from cluster.launcher.local import LocalCluster
from cluster.launcher.probing.records import PREFIX
from cluster.launcher.web.limits import SHOWN_VALUE_BYTES_MAX
from tests.launcher.browsing import Browser
from tests.launcher.staging import Stage, row, view

pytestmark = pytest.mark.process


class Keyed(NamedTuple):
    """A page of a cluster of one node, and a client beside it."""

    browser: Browser
    client: Client


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with LocalCluster(1) as cluster, Client(cluster.endpoints) as client:
        stage = Stage(tmp_path_factory.mktemp("page"), endpoints=cluster.endpoints)
        stage.look(view(row("n1", state="leader")))
        yield Keyed(Browser(stage.page.url), client)
        stage.page.close()


def coded(data: bytes) -> str:
    """Bytes as the page sends them."""
    return b64encode(data).decode()


def listed(keyed: Keyed, prefix: bytes) -> Any:
    """The answer about the keys below a prefix."""
    return keyed.browser.get(f"keys?prefix={coded(prefix).replace('+', '%2B')}").document


def test_keys_are_written_listed_and_deleted(keyed: Keyed) -> None:
    value = bytes(range(256))
    fields = {"key": coded(b"/a/\xff"), "value": coded(value)}
    assert keyed.browser.post("keys/put", fields).document["revision"] > 0
    found = keyed.client.get(b"/a/\xff")
    assert found is not None
    assert found.value == value
    (shown,) = listed(keyed, b"/a/\xff")["keys"]
    assert (b64decode(shown["key"]), b64decode(shown["value"])) == (b"/a/\xff", value)
    assert keyed.browser.post("keys/delete", {"key": coded(b"/a/\xff")}).document["deleted"] == 1
    assert listed(keyed, b"/a/")["keys"] == []


def test_a_long_value_is_cut_and_its_length_is_told(keyed: Keyed) -> None:
    keyed.client.put("/long", b"x" * 100_000)
    (shown,) = listed(keyed, b"/long")["keys"]
    assert (len(b64decode(shown["value"])), shown["bytes"]) == (SHOWN_VALUE_BYTES_MAX, 100_000)


def test_the_probe_clients_keys_are_not_shown(keyed: Keyed) -> None:
    with keyed.browser.stream("?watch=:") as stream:
        told = (data for kind, data, _ in stream.messages() if kind == "keys")
        assert "watching" in next(told)
        before = listed(keyed, b"")["count"]
        keyed.client.put(PREFIX + b"x", b"1")
        keyed.client.put("/user", b"1")
        (event,) = next(told)["events"]
        assert b64decode(event["key"]) == b"/user"
        found = listed(keyed, b"")
        assert found["count"] == before + 1
        assert PREFIX + b"x" not in [b64decode(shown["key"]) for shown in found["keys"]]


def test_each_change_below_the_prefix_is_told(keyed: Keyed) -> None:
    with keyed.browser.stream(f"?watch=:{coded(b'/w/')}") as stream:
        told = (data for kind, data, _ in stream.messages() if kind == "keys")
        assert next(told) == {"watching": keyed.client.get_prefix("/w/").header.revision,
                              "resumed": False}  # fmt: skip
        keyed.client.put("/other", b"1")
        keyed.client.put("/w/1", b"1")
        keyed.client.delete("/w/1")
        events = [event for data in (next(told), next(told)) for event in data["events"]]
    assert [(event["type"], event["reason"]) for event in events] == [
        ("PUT", ""),
        ("DELETE", "deleted"),
    ]
    assert {b64decode(event["key"]) for event in events} == {b"/w/1"}


def test_leases_are_told_with_what_they_have_left(keyed: Keyed) -> None:
    fields = {"key": coded(b"/leased"), "value": "", "ttl": 500}
    assert "revision" in keyed.browser.post("keys/put", fields).document
    (lease,) = keyed.browser.get("leases").document["leases"]
    assert lease["granted_ms"] == 500_000
    assert 0 < lease["remaining_ms"] <= 500_000
    assert [b64decode(key) for key in lease["keys"]] == [b"/leased"]
    assert not lease["is_probe"]
    found = keyed.client.get("/leased")
    assert found is not None
    assert int(lease["id"], 16) == found.lease


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"key": ""}, "a key has at least one byte"),
        ({"key": "?"}, "key must be a text in base64"),
        ({"key": 7}, "key must be a text in base64"),
        ({"key": coded(b"k"), "value": "é"}, "value must be a text in base64"),
        ({"key": coded(b"k"), "ttl": -1}, "a TTL is a number of seconds"),
        ({"key": coded(b"k"), "ttl": True}, "a TTL is a number of seconds"),
        ({"key": coded(b"k"), "ttl": float("nan")}, "a TTL is a number of seconds"),
    ],
)
def test_a_wrong_put_is_told_in_one_line(
    keyed: Keyed, fields: dict[str, Any], mistake: str
) -> None:
    told = keyed.browser.post("keys/put", fields).document["failed"]
    assert told.startswith(mistake)
    assert "\n" not in told


def test_a_watch_of_something_else_than_base64_is_refused(keyed: Keyed) -> None:
    found = keyed.browser.get("stream?watch=:%21")
    assert (found.status, found.text) == (400, "watch must be a text in base64\n")


def test_without_a_node_the_answer_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    stage = Stage(tmp_path_factory.mktemp("page"))
    try:
        assert Browser(stage.page.url).get("leases").document == {"failed": "no voter is known"}
    finally:
        stage.page.close()
