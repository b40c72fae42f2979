"""A front's connections to its node, over real sockets to the door that a node has."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from cluster.door import Route
from cluster.etcd.link import connection, gate
from cluster.etcd.link.connection import WHO, NodeAddress
from cluster.etcd.link.node_link import CALLS_MAX, GIVEN_UP_MAX, NodeLink
from cluster.etcd.link.pool import Pool
from cluster.etcd.link.zmtp import PONG, frame
from cluster.faults import DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE
from cluster.wire import pack
from tests.cluster.etcd.link.test_zmtp import GREETING, READY
from tests.cluster.etcd.loops import run, turn, until
from tests.cluster.etcd.standin import StandIn, echo, silent, stand_in
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.usefixtures("each_loop")

Reply = dict[str, Any]
ResponseEncoder = asyncio.Queue[Reply]


def pool_of(address: NodeAddress) -> Pool:
    return Pool(asyncio.get_running_loop(), address)


def link_to(address: NodeAddress) -> NodeLink:
    return NodeLink(pool_of(address))


async def ask(link: NodeLink, timeout_seconds: float | None = None, **request: Any) -> Reply:
    answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    link.call(request, answer.set_result, timeout_seconds)
    return await answer


def error_of(reply: Reply) -> tuple[int, str]:
    return reply["error"]["code"], reply["error"]["message"]


def must_not_come(what: object) -> None:
    raise AssertionError(what)


def test_each_answer_finds_its_caller() -> None:
    """Also a large one, which comes in many pieces, and when answers come in another order."""
    waiting: list[tuple[Route, Reply]] = []

    def last_first(node: StandIn, route: Route, request: Reply) -> None:
        waiting.append((route, request))
        if len(waiting) == 100:
            for told_route, told in reversed(waiting):
                node.reply(told_route, told, key=told["key"] * (1 + told["repeat"]))

    async def test() -> None:
        link = link_to(node.address)
        asked = [ask(link, op="range", key=b"%d" % i, repeat=i * i * 50) for i in range(100)]
        replies = await asyncio.gather(*asked)
        for i, reply in enumerate(replies):
            assert reply["key"] == b"%d" % i * (1 + i * i * 50)
            assert "id" not in reply
        link.close()

    with stand_in(last_first) as node:
        run(test)
        assert len(node.routes) == 1


def test_a_client_of_its_own_has_a_connection_of_its_own_and_idle_ones_are_used_again() -> None:
    async def test() -> None:
        pool = pool_of(node.address)
        one, two = NodeLink(pool), NodeLink(pool)
        await asyncio.gather(ask(one, key=b"1"), ask(two, key=b"2"))
        assert len(node.routes) == 2
        one.close()
        three = NodeLink(pool)
        assert (await ask(three, key=b"3"))["key"] == b"3"
        assert len(node.routes) == 2
        two.close()
        three.close()

    with stand_in(echo) as node:
        run(test)


def test_a_client_that_leaves_with_calls_under_way_takes_its_connection_with_it() -> None:
    async def test() -> None:
        link = link_to(node.address)
        answers: list[Reply] = []
        link.forget(link.call({"op": "put"}, answers.append))
        await until(lambda: bool(node.requests))
        link.close()
        await until(lambda: bool(node.gone))
        assert answers == []

    with stand_in(silent) as node:
        run(test)


def test_a_forgotten_call_has_no_answer_and_the_next_one_has() -> None:
    async def test() -> None:
        link = link_to(node.address)
        answers: list[Reply] = []
        link.forget(link.call({"key": b"1"}, answers.append))
        assert (await ask(link, key=b"2"))["key"] == b"2"
        assert answers == []
        link.close()

    with stand_in(echo) as node:
        run(test)


def test_calls_that_are_gathered_go_out_together() -> None:
    async def test() -> None:
        pool = pool_of(node.address)
        link, other = NodeLink(pool), NodeLink(pool)
        await ask(link, key=b"open")
        link.gather()
        gathered = [asyncio.create_task(ask(link, key=b"%d" % number)) for number in range(3)]
        await ask(other, key=b"meanwhile")
        await ask(other, key=b"once more")
        assert [asked["key"] for asked in node.requests] == [b"open", b"meanwhile", b"once more"]
        link.flush()
        assert [reply["key"] for reply in await asyncio.gather(*gathered)] == [b"0", b"1", b"2"]
        await ask(link, key=b"and one by itself")
        link.close()
        other.close()

    with stand_in(echo) as node:
        run(test)


def test_what_is_asked_while_the_connection_opens_waits_until_the_node_is_known() -> None:
    """Else its answer would be taken for that of the node to the question who it is."""

    async def test() -> None:
        link = link_to(node.address)
        answer = asyncio.create_task(ask(link, key=b"k"))
        while not answer.done():
            await turn()
            link.flush()
        assert (await answer)["key"] == b"k"
        link.close()

    with stand_in(echo) as node:
        run(test)


def test_calls_given_up_one_after_the_other_do_not_all_reach_the_node() -> None:
    """What it does for nobody is bounded; what is asked meanwhile waits, and keeps its order."""
    asked: list[tuple[Route, Reply]] = []

    def all_at_the_end(node: StandIn, route: Route, request: Reply) -> None:
        asked.append((route, request))
        if request["key"] == b"end":
            for told_route, told in asked:
                node.reply(told_route, told)
        elif request["key"] != b"none":
            node.reply(route, request)

    async def test() -> None:
        pool = pool_of(node.address)
        link, other = NodeLink(pool), NodeLink(pool)
        given_up = [link.call({"key": b"none"}, must_not_come) for _ in range(GIVEN_UP_MAX)]
        for number in given_up:
            link.forget(number)
        waiting = [asyncio.create_task(ask(link, key=b"%d" % number)) for number in range(9)]
        await turn()
        for _ in range(GIVEN_UP_MAX):
            link.forget(link.call({"key": b"none"}, must_not_come))
        await until(lambda: len(asked) == GIVEN_UP_MAX)
        await ask(other, key=b"end")
        await asyncio.gather(*waiting)
        keys = [request["key"] for _, request in asked]
        assert keys[GIVEN_UP_MAX:] == [b"end", *(b"%d" % number for number in range(9))]
        link.close()
        other.close()

    with stand_in(all_at_the_end) as node:
        run(test)


def test_what_waits_behind_calls_that_are_given_up_is_bounded_in_bytes() -> None:
    async def test() -> None:
        link = link_to(node.address)
        for _ in range(GIVEN_UP_MAX):
            link.forget(link.call({"op": "put"}, must_not_come))
        refused: list[Reply] = []
        while not refused:
            link.call({"op": "put", "value": bytes(900_000)}, refused.append)
            await turn()
        assert error_of(refused[0]) == (RESOURCE_EXHAUSTED, "etcdserver: too many requests")
        link.close()

    with stand_in(silent) as node:
        run(test)


def test_a_call_ends_at_its_deadline_and_a_late_answer_is_dropped() -> None:
    held: list[tuple[Route, Reply]] = []

    def late(node: StandIn, route: Route, request: Reply) -> None:
        for told_route, told in (*held, (route, request)) if request["op"] == "go" else ():
            node.reply(told_route, told)
        held.append((route, request))

    async def test() -> None:
        link = link_to(node.address)
        first = await ask(link, 0.01, op="put")
        assert error_of(first) == (DEADLINE_EXCEEDED, "context deadline exceeded")
        second = await ask(link, HANG_SECONDS, op="go")
        assert "error" not in second
        link.close()

    with stand_in(late) as node:
        run(test)


def test_calls_under_way_are_told_that_the_connection_broke_and_later_ones_are_served() -> None:
    async def test() -> None:
        link = link_to(node.address)
        first = asyncio.ensure_future(ask(link, op="hold"))
        await until(lambda: bool(node.requests))
        for visitor in list(node.door.visitors._by_descriptor.values()):
            visitor.end()
        lost = "etcdserver: request timed out, possibly due to connection lost"
        assert error_of(await first) == (UNAVAILABLE, lost)
        # It connects again for the next call.
        assert (await ask(link, op="range", key=b"2"))["key"] == b"2"
        link.close()

    def answer(node: StandIn, route: Route, request: Reply) -> None:
        if request["op"] != "hold":
            echo(node, route, request)

    with stand_in(answer) as node:
        run(test)


def test_a_node_that_is_away_refuses_at_once_and_surely_did_nothing() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        link = link_to(NodeAddress("127.0.0.1", port, 1, 2, 1_000))
        answer = await ask(link, op="put")
        assert error_of(answer) == (UNAVAILABLE, "etcdserver: server stopped")
        assert link.why_lost
        link.close()

    run(test)


def test_a_node_with_other_ids_gets_no_request() -> None:
    async def test() -> None:
        link = link_to(node.address._replace(member_id=5))
        assert "another node listens there" in await link.reach()
        assert not link.is_up
        answer = await ask(link, op="put")
        assert error_of(answer) == (UNAVAILABLE, "etcdserver: server stopped")
        link = link_to(node.address)
        assert await link.reach() == ""
        assert link.is_up

    with stand_in(echo) as node:
        run(test)
        assert [request["op"] for request in node.requests] == ["status"]


def test_what_is_not_a_node_gets_no_request() -> None:
    async def test() -> None:
        got = bytearray()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got.extend(await reader.read(65_536))
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            link = link_to(NodeAddress("127.0.0.1", port, 1, 2, 1_000))
            answer = await ask(link, op="put", value=b"secret")
        assert error_of(answer) == (UNAVAILABLE, "etcdserver: server stopped")
        assert link.why_lost == "the peer does not speak ZMTP"
        assert b"secret" not in got

    run(test)


def test_a_node_that_does_not_say_who_it_is_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for a client that stopped reading, and went on, in between."""
    monkeypatch.setattr(gate, "LOOK_SECONDS", 0.001)

    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            link = link_to(NodeAddress("127.0.0.1", listener.getsockname()[1], 1, 2, 1_000))
            asked = asyncio.ensure_future(ask(link, op="put"))
            await turn()
            link.pause()
            link.resume()
            assert error_of(await asked) == (UNAVAILABLE, "etcdserver: server stopped")
            assert link.why_lost == "it does not say who it is"
            link.close()

    run(test)


def test_a_client_with_too_many_calls_under_way_is_refused() -> None:
    async def test() -> None:
        link = link_to(node.address)
        for _ in range(CALLS_MAX):
            link.call({"op": "put"}, must_not_come)
        answer = await ask(link, op="put")
        assert error_of(answer) == (RESOURCE_EXHAUSTED, "etcdserver: too many requests")
        link.close()

    with stand_in(silent) as node:
        run(test)


def test_a_client_whose_node_does_not_read_is_refused_before_memory_is_full() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = NodeAddress("127.0.0.1", listener.getsockname()[1], 1, 2, 1_000)
            link = link_to(address)
            refused: list[Reply] = []
            while not refused:
                link.call({"op": "put", "value": bytes(900_000)}, refused.append)
                await turn()
            assert error_of(refused[0]) == (RESOURCE_EXHAUSTED, "etcdserver: too many requests")
            link.close()

    run(test)


# --- streams ------------------------------------------------------------------------------


def flood(node: StandIn, route: Route, request: Reply) -> None:
    """Send 64 KiB again and again, until the queue of this connection is full."""
    if request["op"] != "flood":
        echo(node, route, request)
        return
    payload = b"\x81\xa1v\xc6" + (65_536).to_bytes(4, "big") + bytes(65_536)
    sent = 0
    while node.door.send(route, payload):
        sent += 1
    node.requests.append({"op": "full", "sent": sent})


def test_a_link_that_was_paused_before_its_first_call_reads_no_answer() -> None:
    async def test() -> None:
        link = link_to(node.address)
        link.pause()
        asked = asyncio.ensure_future(ask(link, op="put"))
        await until(lambda: any(request["op"] == "put" for request in node.requests))
        for _ in range(100):
            await turn()
        assert not asked.done()
        link.resume()
        await asked
        link.close()

    with stand_in(echo) as node:
        run(test)


def test_a_paused_stream_stops_the_node_and_other_calls_go_on() -> None:
    async def test() -> None:
        link = link_to(node.address)
        got: list[Reply] = []
        stream = link.open_stream(got.append, must_not_come)
        stream.send({"id": 1, "op": "range"})
        await until(lambda: bool(got))
        stream.pause()
        stream.send({"id": 2, "op": "flood"})
        await until(lambda: node.requests[-1]["op"] == "full")
        assert len(got) == 1
        assert (await ask(link, key=b"k", op="range"))["key"] == b"k"
        sent = next(request["sent"] for request in node.requests if request["op"] == "full")
        stream.resume()
        await until(lambda: len(got) == 1 + sent)
        stream.close()
        await until(lambda: bool(node.gone))
        link.close()

    with stand_in(flood) as node:
        run(test)


def test_a_paused_connection_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads no heartbeat, and a node closes a connection that answers none for 15 s."""
    monkeypatch.setattr(connection, "ALIVE_SECONDS", 0.01)

    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(GREETING + READY)
            await reader.readuntil(WHO)
            writer.write(frame(pack({"header": {"cluster_id": 1, "member_id": 2}})))
            for _ in range(3):
                await reader.readuntil(PONG)
            alive.set()
            writer.close()

        alive = asyncio.Event()
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            link = link_to(NodeAddress("127.0.0.1", port, 1, 2, 1_000))
            ends: list[str] = []
            stream = link.open_stream(must_not_come, ends.append)
            stream.pause()
            await alive.wait()
            stream.resume()
            await until(lambda: bool(ends))
            link.close()

    run(test)


def test_a_stream_tells_once_that_it_has_ended_and_nothing_after_its_close() -> None:
    async def test() -> None:
        link = link_to(node.address)
        ends: list[str] = []
        stream = link.open_stream(must_not_come, ends.append)
        closed = link.open_stream(must_not_come, must_not_come)
        for number, each in enumerate((stream, closed)):
            each.send({"id": number, "op": "hold"})
        await until(lambda: len(node.requests) == 2)
        closed.close()
        for visitor in list(node.door.visitors._by_descriptor.values()):
            visitor.end()
        await until(lambda: bool(ends))
        stream.close()
        assert len(ends) == 1

    with stand_in(silent) as node:
        run(test)
