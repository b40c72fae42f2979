"""The commands for keys: put, get, del, watch. A client of its own does each, beside the main loop.

So a put waits through a change of leaders, and a watch misses nothing, as in any program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from cluster.launcher.commands.desk import Desk
from cluster.launcher.commands.jobs import TIMEOUT_SECONDS, Job
from cluster.launcher.commands.parsing import Words
from cluster.launcher.errands.errand import FOREVER, Errand, Until
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.story.durations import duration
from cluster.logs import on_one_line

if TYPE_CHECKING:
    from cluster.client.api import Client
    from cluster.client.results import KeyValue

SHOWN_KEYS_MAX: Final = 100
SHOWN_CHARACTERS_MAX: Final = 400
GRACE_SECONDS: Final = 5.0

Work = Callable[["Client"], Iterator[str]]


def put(desk: Desk, words: Words) -> Errand[None]:
    """Write a key."""
    if len(words.plain) != 2:
        raise LauncherError("put takes a key and a value: put greeting hello")
    key, value = words.plain

    def work(client: Client) -> Iterator[str]:
        began = time.monotonic()
        result = client.put(key, value)
        took = duration(time.monotonic() - began)
        yield f"OK, revision {result.header.revision}, after {took}"

    return _do(desk, work, TIMEOUT_SECONDS + GRACE_SECONDS)


def get(desk: Desk, words: Words) -> Errand[None]:
    """Read a key, or all keys with a prefix."""
    key = _one_key("get", words)
    prefix = bool(words.options.get("prefix"))

    def work(client: Client) -> Iterator[str]:
        if not prefix:
            found = client.get(key)
            yield f"there is no key {shown(key.encode())}" if found is None else _pair(found)
            return
        result = client.range(key, prefix=True, limit=SHOWN_KEYS_MAX)
        yield from map(_pair, result.kvs)
        left = result.count - len(result.kvs)
        if left:
            yield f"and {left} more"
        elif not result.kvs:
            yield f"there is no key that begins with {shown(key.encode())}"

    return _do(desk, work, TIMEOUT_SECONDS + GRACE_SECONDS)


def delete(desk: Desk, words: Words) -> Errand[None]:
    """Delete a key, or all keys with a prefix."""
    key = _one_key("del", words)
    prefix = bool(words.options.get("prefix"))

    def work(client: Client) -> Iterator[str]:
        result = client.delete(key, prefix=prefix)
        keys = "1 key" if result.deleted == 1 else f"{result.deleted} keys"
        yield f"{keys} deleted, revision {result.header.revision}"

    return _do(desk, work, TIMEOUT_SECONDS + GRACE_SECONDS)


def watch(desk: Desk, words: Words) -> Errand[None] | None:
    """Show each change of a key, or of all keys with a prefix, from now on."""
    if words.options.get("off"):
        if desk.asker.via == "ctl":
            raise LauncherError("a watch of another terminal ends with Ctrl-C there")
        ended = desk.jobs.end_watches(desk.asker.conversation)
        desk.say("1 watch ended" if ended == 1 else f"{ended} watches ended")
        return None
    key = _one_key("watch", words)
    prefix = bool(words.options.get("prefix"))

    def work(client: Client) -> Iterator[str]:
        with client.watch(key, prefix=prefix) as events:
            yield f"watching {shown(key.encode())}{' and all that begin so' if prefix else ''}"
            for event in events:
                if event.type == "DELETE":
                    yield f"{shown(event.kv.key)} was deleted (revision {event.revision})"
                else:
                    yield _pair(event.kv)

    return _do(desk, work, FOREVER, is_watch=True)


def shown(data: bytes) -> str:
    """Bytes as a line for people: what is no text is written as escapes, and much is cut."""
    text = data.decode(errors="backslashreplace")
    if len(text) > SHOWN_CHARACTERS_MAX:
        text = f"{text[:SHOWN_CHARACTERS_MAX]}... ({len(data)} bytes)"
    return on_one_line(text)


def _one_key(command: str, words: Words) -> str:
    if len(words.plain) != 1 or not words.plain[0]:
        raise LauncherError(f"{command} takes one key: {command} greeting")
    return words.plain[0]


def _pair(found: KeyValue) -> str:
    return f"{shown(found.key)} = {shown(found.value)}  (revision {found.mod_revision})"


def _do(desk: Desk, work: Work, seconds: float, *, is_watch: bool = False) -> Errand[None]:
    """Do the work in a thread, say what it yields, and wait for its end."""
    ends: list[str] = []
    job = Job(
        work,
        desk.cluster.direct_endpoints,
        desk.asker.conversation,
        desk.say,
        ends.append,
        is_watch=is_watch,
        key_file=desk.cluster.own_key_file,
    )
    desk.jobs.begin(job)

    def is_over() -> bool:
        if not desk.asker.is_there:
            job.cancel()
        return bool(ends) or job.is_cancelled

    try:
        yield Until(is_over, seconds, f"no answer within {seconds:g} s")
    finally:
        job.cancel()
    if ends and ends[0]:
        raise LauncherError(ends[0])
