"""The commands for keys, on a real node: what is answered, also to wrong words."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cluster import Client, LocalCluster
from cluster.launcher.commands.desk import Desk
from cluster.launcher.commands.jobs import JOBS_MAX, Job, Jobs
from cluster.launcher.commands.keys import SHOWN_CHARACTERS_MAX, shown
from cluster.launcher.commands.table import read_line
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.screens.view import ClusterView
from cluster.processes import is_readable
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


def no_view(now: float) -> ClusterView:
    """These commands look at no table."""
    raise AssertionError("no table is needed")


class User:
    """Types at a desk, reads what is said, and may go away."""

    def __init__(
        self, cluster: LocalCluster, jobs: Jobs | None = None, *, via: str = "prompt"
    ) -> None:
        self.via = self.conversation = via
        self.said: list[str] = []
        self.ends: list[str] = []
        self.is_there = True
        self._jobs = jobs or Jobs()
        self._cluster = cluster
        self._desk = Desk(cluster, self._jobs, no_view, lambda line, asker: None, lambda: None)

    def say(self, text: str) -> None:
        self.said.append(text)

    def clear(self) -> None:
        self.said.clear()

    def done(self, error: str = "") -> None:
        self.ends.append(error)

    def begin(self, line: str) -> None:
        """Type a line; LauncherError if it is wrong."""
        typed = read_line(line)
        assert typed is not None
        command, words = typed
        errand = command.run(self._desk.asked_by(self), words)
        if errand is None:
            self.done()
        else:
            self._cluster.errands.begin(errand, lambda _, error: self.done(str(error or "")))

    def wait(self, holds: Callable[[], bool]) -> None:
        """Turn the loop until this holds."""
        deadline = time.monotonic() + HANG_SECONDS
        while not holds():
            assert time.monotonic() < deadline, self.said
            is_readable(self._jobs.fd, 0.1)
            self._jobs.deliver()
            self._cluster.errands.tick(time.monotonic())

    def type(self, line: str) -> list[str]:
        """Type a line and wait for its end; what was said, and the error if there is one."""
        self.said, self.ends = [], []
        self.begin(line)
        self.wait(lambda: bool(self.ends))
        return [*self.said, *filter(None, self.ends)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(1) as made:
        yield made


@pytest.fixture
def user(cluster: LocalCluster) -> User:
    return User(cluster)


def test_a_key_is_written_read_and_deleted(user: User) -> None:
    (written,) = user.type("put 'a key' 'its value'")
    assert re.fullmatch(r"OK, revision \d+, after .+ m?s", written)
    (found,) = user.type("get 'a key'")
    assert found.startswith("a key = its value  (revision ")
    assert user.type("del 'a key'")[0].startswith("1 key deleted, revision ")
    assert user.type("get 'a key'") == ["there is no key a key"]
    assert user.type("del 'a key'")[0].startswith("0 keys deleted")


def test_lines_that_are_typed_together_are_done_in_their_order(user: User) -> None:
    lines = ("put order 1", "get order", "put order 2", "get order", "del order", "get order")
    for line in lines:
        user.begin(line)
    user.wait(lambda: len(user.ends) == len(lines))
    said = [text.split(",")[0].split("  ")[0] for text in user.said]
    assert said == ["OK", "order = 1", "OK", "order = 2", "1 key deleted", "there is no key order"]


class Slow:
    """A request of one conversation, which is answered when the test wants it."""

    def __init__(self, cluster: LocalCluster, jobs: Jobs, conversation: str) -> None:
        self.ends: list[str] = []
        self.answered = threading.Event()
        jobs.begin(Job(self._work, cluster.endpoints, conversation, print, self.ends.append))

    def _work(self, _: Client) -> Iterator[str]:
        self.answered.wait(HANG_SECONDS)
        yield "at last"


def test_other_conversations_do_not_wait_for_their_turn(cluster: LocalCluster) -> None:
    jobs = Jobs()
    slow = Slow(cluster, jobs, "prompt")
    waits, other = User(cluster, jobs), User(cluster, jobs, via="page")
    waits.begin("put turn 1")
    assert other.type("put turn 2")[0].startswith("OK")
    assert waits.said == []
    slow.answered.set()
    waits.wait(lambda: bool(waits.ends))
    assert other.type("get turn")[0].startswith("turn = 1 ")


def test_the_end_of_watches_ends_no_put(cluster: LocalCluster) -> None:
    jobs = Jobs()
    user = User(cluster, jobs)
    user.begin("watch key")
    user.wait(lambda: bool(user.said))
    slow = Slow(cluster, jobs, "prompt")
    user.begin("put key 1")
    user.begin("watch --off")
    assert user.said[1:] == ["1 watch ended"]
    slow.answered.set()
    user.wait(lambda: len(user.ends) == 3)
    assert user.said[2].startswith("OK, revision ")


def test_a_watch_in_another_terminal_is_ended_there(cluster: LocalCluster) -> None:
    with pytest.raises(LauncherError, match="ends with Ctrl-C there"):
        User(cluster, via="ctl").begin("watch --off")


def test_keys_with_a_prefix_are_found_together(user: User) -> None:
    for number in range(102):
        user.type(f"put many/{number:03} v")
    found = user.type("get many/ --prefix")
    assert len(found) == 101
    assert (found[0][:12], found[-1]) == ("many/000 = v", "and 2 more")
    assert user.type("del --prefix many/")[0].startswith("102 keys deleted")
    assert user.type("get --prefix many/") == ["there is no key that begins with many/"]


def test_a_watch_shows_changes_until_it_is_ended(user: User, cluster: LocalCluster) -> None:
    user.begin("watch seen --prefix")
    user.wait(lambda: user.said == ["watching seen and all that begin so"])
    writer = User(cluster)
    for line in ("put seen/1 one", "put unseen 1", "del seen/1"):
        writer.type(line)
    user.wait(lambda: len(user.said) == 3)
    assert user.said[1].startswith("seen/1 = one  (revision ")
    assert user.said[2].startswith("seen/1 was deleted (revision ")
    assert user.ends == []
    user.begin("watch --off")
    assert user.said[3:] == ["1 watch ended"]
    user.wait(lambda: user.ends == ["", ""])
    assert user.type("watch --off") == ["0 watches ended"]


def test_a_watch_ends_with_whoever_asked(user: User) -> None:
    user.begin("watch key")
    user.wait(lambda: bool(user.said))
    user.is_there = False
    user.wait(lambda: user.ends == [""])


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("put key", "put takes a key and a value: put greeting hello"),
        ("put a b c", "put takes a key and a value: put greeting hello"),
        ("get", "get takes one key: get greeting"),
        ("get a b", "get takes one key: get greeting"),
        ("watch ''", "watch takes one key: watch greeting"),
        ("del --all", "del has no option --all; it has --prefix"),
    ],
)
def test_wrong_words_are_answered(user: User, line: str, answer: str) -> None:
    with pytest.raises(LauncherError) as caught:
        user.begin(line)
    assert str(caught.value) == answer


def test_what_the_cluster_refuses_is_the_error(user: User) -> None:
    assert user.type("put '' value") == ["etcdserver: key is not provided"]


def test_too_many_at_a_time_are_refused(user: User) -> None:
    for _ in range(JOBS_MAX):
        user.begin("watch key")
    user.begin("watch key")
    assert user.ends == [f"{JOBS_MAX} requests are under way: wait for their ends"]
    user.is_there = False
    user.wait(lambda: len(user.ends) == JOBS_MAX + 1)


def test_bytes_cannot_harm_a_terminal() -> None:
    assert shown(b"a\x1b[2J\xff\n\xc3\xbc") == "a\\x1b[2J\\xff\\n\u00fc"
    assert shown(b"x" * 1_000) == "x" * SHOWN_CHARACTERS_MAX + "... (1000 bytes)"
