"""The page's server: who is answered, within which limits, and what pages are told."""

from __future__ import annotations

import re
import select
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.probing.prober import Sample
from cluster.launcher.screens.view import NodeView
from cluster.launcher.story.happenings import Happening
from cluster.launcher.story.journal import Journal
from cluster.launcher.web import Launcher, WebPage
from cluster.launcher.web.limits import (
    BODY_BYTES_MAX,
    COMMANDS_WAITING_MAX,
    CONNECTIONS_MAX,
    HEAD_BYTES_MAX,
    STREAMS_MAX,
)
from cluster.launcher.web.tape import KEPT, Tape
from tests.launcher.browsing import Browser, read_answer
from tests.launcher.staging import Stage, row, view
from tests.limits import HANG_MS, HANG_SECONDS

IDLE = Launcher(obey=lambda line, call: None, view=lambda now: view(), record=lambda is_on: None)
"""A main loop that does nothing."""


class Desk(Stage):
    """A page, and a browser that asks it."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.browser = Browser(self.page.url)

    def turn(self) -> None:
        """Wait until the page has something for the main loop, and let it be served."""
        poller = select.poll()
        for fd in self.page.fds():
            poller.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poller.poll(HANG_MS)}
        assert ready, "the page has nothing"
        self.page.serve(ready, 0.0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.page.close()


# --- who is answered ---


def test_a_browser_gets_the_page_with_headers_that_keep_it_to_this_server(desk: Desk) -> None:
    found = desk.browser.get()
    assert (found.status, found.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<title>" in found.text
    assert found.headers["content-security-policy"].startswith("default-src 'none'")
    assert found.headers["referrer-policy"] == "no-referrer"
    assert found.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("target", ["/", "/index.html", "/00/", "/stream", "/0123/keys"])
def test_without_the_token_nothing_is_answered(desk: Desk, target: str) -> None:
    found = desk.browser.ask("GET", target, {})
    assert found.status == 403
    assert "open the address that the launcher has printed" in found.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "evil.example:{port}", ""])
def test_a_name_that_was_bound_to_this_host_is_refused(desk: Desk, host: str) -> None:
    found = desk.browser.get("", {"Host": host.format(port=desk.browser.port)})
    assert found.status == 421
    assert f"this server is 127.0.0.1:{desk.browser.port}" in found.text


def test_localhost_is_this_host(desk: Desk) -> None:
    assert desk.browser.get("", {"Host": f"localhost:{desk.browser.port}"}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-Leasehold-Token": ""},
        {"X-Leasehold-Token": "0" * 32},
        {"X-Leasehold-Token": "\u00e9"},
    ],
)
def test_a_post_by_another_page_is_refused(desk: Desk, headers: dict[str, str]) -> None:
    filled = {name: value.format(port=desk.browser.port) for name, value in headers.items()}
    assert desk.browser.post("command", {"line": "kill n1"}, filled).status == 403
    desk.page.serve(set(desk.page.fds()), 0.0)
    assert desk.calls == []


def test_a_post_must_be_json(desk: Desk) -> None:
    found = desk.browser.post("command", {"line": "x"}, {"Content-Type": "text/plain"})
    assert found.status == 415


def test_another_origin_may_not_even_read(desk: Desk) -> None:
    assert desk.browser.get("stream", {"Origin": "http://evil.example"}).status == 403
    assert desk.browser.get("keys", {"Sec-Fetch-Site": "cross-site"}).status == 403


def test_no_path_leads_out_of_the_page(desk: Desk) -> None:
    for path in ("../guard.py", "..%2fguard.py", "page/../guard.py", "nothing.js"):
        assert desk.browser.get(path).status == 404
    assert desk.browser.ask("DELETE", f"{desk.browser.path}keys", {}).status == 405


# --- limits ---


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 400),
        (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 9x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 3 * HEAD_BYTES_MAX, 431),
    ],
)
def test_bytes_that_are_no_request_are_refused_with_a_line(
    desk: Desk, data: bytes, status: int
) -> None:
    found = desk.browser.send(data)
    assert found.status == status
    assert re.fullmatch(r"[^\n]+\n", found.text)


def test_a_body_beyond_the_limit_is_refused_and_told(desk: Desk) -> None:
    found = desk.browser.post("command", {"line": "x" * BODY_BYTES_MAX})
    assert (found.status, found.text) == (413, f"the body is larger than {BODY_BYTES_MAX} bytes\n")


@pytest.mark.parametrize(
    "value", [[], "kill", {}, {"line": 1}, {"line": " "}, {"line": "kill n1\nkill n2"}]
)
def test_a_command_must_be_one_line(desk: Desk, value: object) -> None:
    assert desk.browser.post("command", value).status == 400
    desk.page.serve(set(desk.page.fds()), 0.0)
    assert desk.calls == []


@pytest.mark.parametrize("page", [7, None, "x" * 65])
def test_a_page_has_a_short_name(desk: Desk, page: object) -> None:
    found = desk.browser.post("command", {"line": "ls", "page": page})
    assert (found.status, found.text) == (400, "page is a text of 64 characters at most\n")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET http://x/ HTTP/1.1\r\n\r\n", "its target is no path"),
        (b"GET / HTTP/1.0\r\n\r\n", "its version is 1.0"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(desk: Desk, data: bytes, why: str) -> None:
    assert desk.browser.send(data).text == f"this is no request of HTTP/1.1: {why}\n"


def test_a_browser_that_offers_another_protocol_is_answered(desk: Desk) -> None:
    headers = {"Connection": "Upgrade, close", "Upgrade": "h2c"}
    found = desk.browser.send(desk.browser.request("GET", desk.browser.path, headers))
    assert found.status == 200


def test_more_connections_than_allowed_are_refused_and_room_comes_back(desk: Desk) -> None:
    lines = [desk.browser.connect() for _ in range(CONNECTIONS_MAX)]
    # Each has been accepted when it has been answered.
    for line in lines:
        line.sendall(desk.browser.request("GET", "/", {"Connection": "keep-alive"}))
        assert line.recv(12) == b"HTTP/1.1 403"
    assert desk.browser.get().status == 503
    for line in lines:
        line.close()
    assert until_answered(desk.browser) == 200


def until_answered(browser: Browser) -> int:
    """The status of the first answer that is not a refusal for want of room."""
    for _ in range(10_000):
        status = browser.get().status
        if status != 503:
            return status
    raise AssertionError("no room came back")


def test_a_connection_serves_one_request_after_another(desk: Desk) -> None:
    one = desk.browser.request("GET", desk.browser.path, {"Connection": "keep-alive"})
    with desk.browser.connect() as line:
        line.sendall(one + desk.browser.request("GET", desk.browser.path, {}))
        whole = b"".join(iter(lambda: line.recv(65536), b""))
    assert whole.count(b"HTTP/1.1 200 OK") == 2


# --- what happens ---


def test_a_page_is_told_what_has_happened_and_what_happens(desk: Desk) -> None:
    desk.journal.tell("command", "kill n1", line="kill n1", via="prompt")
    with desk.browser.stream() as stream:
        texts = stream.texts()
        assert next(texts) == "kill n1"
        desk.journal.tell("died", "n1 died", victim="n1")
        assert next(texts) == "n1 died"


def test_a_page_is_greeted_with_the_commands_and_the_time(desk: Desk) -> None:
    with desk.browser.stream() as stream:
        kind, hello, _ = next(stream.messages())
    assert kind == "hello"
    assert hello["commands"] == [{"name": "kill", "usage": "kill n1", "help": "kill -9"}]
    assert hello["after"] == 0
    assert hello["now"] > 0


def test_a_page_that_comes_back_is_told_only_the_rest(desk: Desk) -> None:
    desk.journal.tell("fault", "first", what="")
    with desk.browser.stream() as stream:
        number = next(number for kind, _, number in stream.messages() if kind == "items")
    desk.journal.tell("fault", "second", what="")
    for query, headers in [("", {"Last-Event-ID": number}), (f"?since={number}", {})]:
        with desk.browser.stream(query, headers) as stream:
            assert next(stream.texts()) == "second"


@pytest.mark.parametrize("number", ["0badcafe-1", "nonsense", "-", "{run}-x", "{run}-"])
def test_a_number_of_another_launcher_means_from_the_start(desk: Desk, number: str) -> None:
    with desk.browser.stream() as stream:
        run = next(stream.messages())[1]["run"]
    desk.journal.tell("fault", "first", what="")
    with desk.browser.stream("", {"Last-Event-ID": number.format(run=run)}) as stream:
        assert next(stream.texts()) == "first"


def test_what_was_in_the_journal_before_is_told_too(tmp_path: Path) -> None:
    journal = Journal()
    journal.tell("ready", "ready", took_ms=1)
    page = WebPage(journal, tmp_path, IDLE, port=0)
    with Browser(page.url).stream() as stream:
        assert next(stream.texts()) == "ready"
    page.close()


def test_messages_are_asked_for_while_a_page_shows_them(desk: Desk) -> None:
    stream = desk.browser.stream("?messages=1")
    desk.turn()
    assert desk.records == [True]
    told = Happening(1.5, 2.5, "message", "n1", "", {"to": "n2", "what": "append", "entries": 3})
    desk.journal.add(told)
    rows = next(item["messages"] for item in stream.items() if "messages" in item)
    assert rows == [[1.5, "n1", "n2", "append", None, 3, None, None]]
    stream.close()
    desk.turn()
    assert desk.records == [True, False]


def test_a_view_is_told_once_with_all_its_columns(desk: Desk) -> None:
    desk.look(view(row("n1", revision=7)))
    desk.look(view(row("n1", revision=7)))
    desk.look(view(row("n1", revision=8)))
    with desk.browser.stream() as stream:
        found = [item["view"] for item in islice(stream.items(), 2)]
    assert [one["nodes"][0]["revision"] for one in found] == [7, 8]
    assert set(found[0]["nodes"][0]) == set(NodeView._fields)


def test_numbers_that_a_script_would_round_are_texts(desk: Desk) -> None:
    desk.look(view(row("n1", revision=(1 << 63) - 1, term=1)))
    with desk.browser.stream() as stream:
        found = next(stream.items())["view"]["nodes"][0]
    assert (found["revision"], found["term"]) == ("9223372036854775807", 1)


def test_samples_are_told_as_rows(desk: Desk) -> None:
    desk.page.samples([Sample(1.25, "write", 0.5, True), Sample(2.0, "read", 9.0, False)])
    with desk.browser.stream() as stream:
        found = next(stream.items())["samples"]
    assert found == [[1.25, "write", 0.5, True], [2.0, "read", 9.0, False]]


def test_more_pages_than_allowed_are_refused(desk: Desk) -> None:
    streams = [desk.browser.stream() for _ in range(STREAMS_MAX)]
    assert [stream.status for stream in streams] == [200] * STREAMS_MAX
    found = desk.browser.get("stream")
    assert (found.status, found.text) == (503, f"{STREAMS_MAX} pages are open: close one\n")
    for stream in streams:
        stream.close()


def test_a_page_that_reads_nothing_costs_no_more_than_the_tape_and_delays_nobody(
    desk: Desk,
) -> None:
    slow = desk.browser.connect()
    slow.sendall(desk.browser.request("GET", f"{desk.browser.path}stream", {}))
    with desk.browser.stream() as stream:
        texts = stream.texts()
        for number in range(200):  # more than the kernel takes for a page that reads nothing
            desk.journal.tell("fault", f"{number} {'x' * 64_000}", what="")
        last = next(text for text in texts if text.startswith("199 "))
    assert last
    # It begins to read, and gets everything that is kept.
    whole = b""
    while b'"text":"199 ' not in whole:
        data = slow.recv(1 << 20)
        assert data, "the page lost its connection"
        whole = whole[-100:] + data
    slow.close()


def test_the_tape_keeps_the_newest_of_each_lane_in_order() -> None:
    tape = Tape()
    for number in range(KEPT["passing"] + 10):
        tape.add("passing", f"passing {number}")
        if number % 1000 == 0:
            tape.add("happenings", f"happening {number}")
    kept = tape.after(0)
    assert [item.text for item in kept if item.text.startswith("h")] == [
        f"happening {number}" for number in range(0, KEPT["passing"] + 10, 1000)
    ]
    assert sum(item.text.startswith("p") for item in kept) == KEPT["passing"]
    assert [item.number for item in kept] == sorted(item.number for item in kept)
    assert tape.after(tape.last) == []
    assert [item.number for item in tape.after(tape.last - 2)] == [tape.last - 1, tape.last]


# --- commands ---


def test_a_command_reaches_the_main_loop_and_its_outcome_the_page(desk: Desk) -> None:
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(desk.browser.post("command", {"line": "kill n9"}))
    )
    asking.start()
    desk.turn()
    (call,) = desk.calls
    assert (call.line, call.via, call.is_there) == ("kill n9", "page", True)
    call.say("one moment")
    call.done("there is no node n9")
    call.done("late")
    asking.join(HANG_SECONDS)
    assert answers[0].document == {"said": ["one moment"], "error": "there is no node n9"}
    assert not call.is_there


def test_more_commands_than_the_launcher_can_do_are_refused(desk: Desk) -> None:
    lines = [desk.browser.connect() for _ in range(COMMANDS_WAITING_MAX + 1)]
    headers = {
        "Origin": f"http://{desk.browser.host}",
        "X-Leasehold-Token": desk.browser.token,
        "Content-Type": "application/json",
    }
    target = f"{desk.browser.path}command"
    request = desk.browser.request("POST", target, headers, '{"line": "kill n1"}')
    for line in lines:
        line.sendall(request)
    poller = select.poll()
    for line in lines:
        poller.register(line, select.POLLIN)
    ((ready, _),) = poller.poll(HANG_MS)
    (refused,) = (line for line in lines if line.fileno() == ready)
    whole = b"".join(iter(lambda: refused.recv(65536), b""))
    assert read_answer(whole).text == "the launcher has too much to do\n"
    for line in lines:
        line.close()


# --- the page's own beginning and end ---


def test_the_next_launcher_of_the_directory_has_the_same_address(tmp_path: Path) -> None:
    first = WebPage(Journal(), tmp_path, IDLE, port=0)
    port = Browser(first.url).port
    first.close()
    second = WebPage(Journal(), tmp_path, IDLE, port=port)
    second.close()
    assert second.url == first.url
    assert (tmp_path / "web-token").stat().st_mode & 0o777 == 0o600


def test_a_port_that_is_taken_is_named_with_its_owner(tmp_path: Path, desk: Desk) -> None:
    port = desk.browser.port
    with pytest.raises(LauncherError, match=rf"--web: port {port} is taken by \S+ \(pid \d+\)"):
        WebPage(Journal(), tmp_path, IDLE, port=port)


def test_a_token_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "web-token").write_text("hello")
    with pytest.raises(LauncherError, match="web-token holds no token: delete it"):
        WebPage(Journal(), tmp_path, IDLE, port=0)


def test_a_page_that_closes_ends_its_streams_and_its_thread(tmp_path: Path) -> None:
    page = WebPage(Journal(), tmp_path, IDLE, port=0)
    stream = Browser(page.url).stream()
    page.close()
    assert [kind for kind, _, _ in stream.messages()][:1] == ["hello"]
    assert not [thread for thread in threading.enumerate() if thread.name == "page"]
