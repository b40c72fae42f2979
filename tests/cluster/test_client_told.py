"""What a client's log says of retries, fail-over and refusals, and of who is at an endpoint."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
import zmq

from cluster.client import examining
from cluster.client.engine.core import Core
from cluster.client.engine.leading import OUTSIDE_SECONDS
from cluster.client.engine.news import Lead, News, Oddity, Retry, Turn
from cluster.client.told import AGAIN_SECONDS, CAUSES_MAX, NewsLog
from cluster.curve import new_pair, z85
from tests.cluster.rig import HEADER, Rig


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


# --- the core's news ---


def test_a_broken_connection_tells_of_its_retries_and_of_the_turn() -> None:
    rig = Rig("a", "b")
    assert rig.core.news == []
    rig.call()
    rig.core.endpoint_down("a", rig.now)
    assert rig.core.news == [
        Turn("a", "", ""),
        Retry("range", 1, "a", "the connection to a broke"),
        Turn("b", "a", "the connection broke"),
    ]


def test_a_refusal_tells_the_words_of_the_node() -> None:
    rig = Rig("a", "b")
    rig.call()
    rig.refuse(rig.one(), "NoLeader")
    rig.advance(1.0)
    assert rig.core.news[1:] == [
        Retry("range", 1, "a", "etcdserver: no leader"),
        Turn("b", "a", "etcdserver: no leader"),
    ]


def test_silence_is_told() -> None:
    rig = Rig("a", "b")
    rig.call()
    rig.advance(2.0)
    assert rig.core.news[1:3] == [
        Retry("range", 1, "a", "no answer from a"),
        Turn("b", "a", "no answer in time"),
    ]


def test_a_watch_that_moves_is_told() -> None:
    rig = Rig("a", "b")
    rig.core.watches.open(1, {"op": "watch_create", "key": b"k"}, 5.0, rig.now)
    rig.answer(rig.one(), watch_id=1, created=True)
    rig.core.news.clear()
    rig.core.endpoint_down("a", rig.now)
    assert rig.core.news[0] == Retry("watch", 1, "a", "the connection broke")


def statuses(rig: Rig, **fields: dict[str, int]) -> None:
    """Answer the questions of a client who leads."""
    rig.advance(2.0)
    for name, request in rig.sent():
        if request["op"] == "status":
            head = {**HEADER, **fields.get(name, {})}
            rig.core.reply(name, {"id": request["id"], "header": head, **STATUS}, rig.now)


STATUS = {
    "version": "0",
    "dbSize": 0,
    "dbSizeInUse": 0,
    "leader": 2,
    "raftIndex": 1,
    "raftTerm": 2,
    "raftAppliedIndex": 1,
    "isLearner": False,
    "errors": [],
}


def test_who_leads_and_who_is_of_another_cluster_is_told_once() -> None:
    rig = Rig("a", "b")
    rig.core = Core(("a", "b"), rig.core.calls._options, lambda: 0.5, addresses={})
    for name in ("a", "b"):
        rig.core.endpoint_up(name, rig.now)
    rig.call()
    rig.answer(rig.one())
    statuses(rig, a={"member_id": 1}, b={"member_id": 2, "cluster_id": 9})
    oddity = Oddity("b", "is of another cluster (9) than a (7): no request goes there")
    assert rig.core.news[1:] == [oddity]
    rig.advance(OUTSIDE_SECONDS)
    statuses(rig, a={"member_id": 1}, b={"member_id": 2, "cluster_id": 9})
    assert rig.core.news[2:] == []


# --- the log ---


def test_retries_with_one_cause_are_told_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    news_log = NewsLog()
    retry = Retry("put", 1, "a", "etcdserver: no leader")
    for now in (10.0, 10.1, 10.0 + AGAIN_SECONDS):
        news_log.tell([retry, retry._replace(endpoint="b")], now)
    told = "requests at {} are tried again: etcdserver: no leader"
    assert lines(caplog, logging.INFO) == [told.format("a"), told.format("b")] * 2
    assert len(lines(caplog, logging.DEBUG)) == 6
    for number in range(CAUSES_MAX + 1):
        news_log.tell([retry._replace(cause=str(number))], 20.0)
    assert len(news_log._told_at) <= CAUSES_MAX


def test_each_turn_and_oddity_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    news: list[News] = [
        Turn("a", "", ""),
        Turn("b", "a", "it broke"),
        Lead("c"),
        Oddity("d", "is odd"),
    ]
    NewsLog().tell(news, 1.0)
    assert news == []
    assert lines(caplog, logging.INFO) == [
        "requests go to a",
        "requests go to b, and not to a: it broke",
        "writes go to c, whose member leads",
    ]
    assert lines(caplog, logging.WARNING) == ["endpoint d is odd"]


# --- who is there ---


@contextmanager
def server(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """Answers the first bytes of each connection, and closes it."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                accepted, _ = listening.accept()
            except OSError:
                return
            with closing(accepted):
                said = answer(accepted.recv(1024))
                if said:
                    accepted.sendall(said)
                else:
                    accepted.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda asked: b"HTTP/1.1 400 Bad Request\r\n", examining.SPEAKS_HTTP),
        (lambda asked: b"HTTP/1.0 200 OK\r\n" if b"GET" in asked else b"", examining.SPEAKS_HTTP),
        (lambda asked: b"\x15\x03\x01\x00\x02\x02\x46", examining.SPEAKS_TLS),
        (lambda asked: b"220 mail\r\n", examining.NO_HANDSHAKE),
        (lambda asked: b"", examining.SAYS_NOTHING),
    ],
)
def test_who_shakes_no_hands_is_known_by_what_it_says(
    answer: Callable[[bytes], bytes], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason == examining.SAYS_NOTHING:
        monkeypatch.setattr(examining, "LOOK_SECONDS", 0.05)
    with server(answer) as port:
        assert examining.examine("127.0.0.1", port) == reason


@pytest.mark.parametrize("sealed", [False, True])
def test_a_socket_of_zeromq_is_known_by_its_greeting(sealed: bool) -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        if sealed:
            other.setsockopt(zmq.CURVE_SERVER, 1)
            other.setsockopt(zmq.CURVE_SECRETKEY, z85(new_pair().secret))
        port = other.bind_to_random_port("tcp://127.0.0.1")
        found = examining.examine("127.0.0.1", port)
    assert found == (examining.KEY_WANTED if sealed else examining.FOREIGN_SOCKET)


def test_where_nobody_listens_there_is_nothing_to_say() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert examining.examine("127.0.0.1", port) == examining.SAYS_NOTHING
