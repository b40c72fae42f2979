"""The two sides of the comparison of command lines: a server each, and the program that asks it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Final, NamedTuple

from cluster.launcher.local import LocalCluster
from tests.differential.cli_masks import Outcome
from tests.differential.cli_script import Step
from tests.differential.etcd import MISSING, Etcd, binaries
from tests.differential.leasehold import FLAGS
from tests.differential.sides import memory_directory
from tests.limits import HANG_SECONDS

TIMEOUT_CODE: Final = 124
"""What `timeout` of a shell would say."""

END: Final = b""
"""What stands behind the last line of an output."""

ROOT: Final = Path(__file__).resolve().parents[2]

_IDS: Final = (
    (re.compile(r"^lease ([0-9a-f]+) granted", re.MULTILINE), 16),
    (re.compile(r'"ID":(\d+)'), 10),
    (re.compile(r'"ID" : (\d+)'), 10),
    (re.compile(r"^([0-9a-f]+), started, ", re.MULTILINE), 16),
    (re.compile(r"^Member +([0-9a-f]+) added", re.MULTILINE), 16),
)
_REVISION: Final = re.compile(r'"Revision" : (\d+)')


class Place(NamedTuple):
    """A server that runs, and how its command line is called."""

    name: str
    program: tuple[str, ...]
    endpoint: str
    peer_url: str


@contextmanager
def etcd_side() -> Iterator[Place]:
    """An etcd, and etcdctl."""
    programs = binaries()
    assert programs is not None, MISSING
    etcd = Etcd()
    try:
        client, peer = etcd.addresses
        yield Place("etcdctl", (str(programs / "etcdctl"),), client, f"http://{peer}")
    finally:
        etcd.stop()


@contextmanager
def leasehold_side() -> Iterator[Place]:
    """A node, and leasectl."""
    with (
        tempfile.TemporaryDirectory(prefix="leasehold-", dir=memory_directory()) as data,
        LocalCluster(1, Path(data) / "cluster", node_flags=FLAGS) as cluster,
    ):
        (node,) = cluster.nodes.values()
        program = (sys.executable, "-m", "cluster.cli")
        yield Place("leasectl", program, cluster.endpoints[0], node.peer_url)


@contextmanager
def front_side() -> Iterator[Place]:
    """A node with a front, and etcdctl."""
    programs = binaries()
    assert programs is not None, MISSING
    with (
        tempfile.TemporaryDirectory(prefix="leasehold-", dir=memory_directory()) as data,
        LocalCluster(1, Path(data) / "cluster", node_flags=FLAGS, front=True) as cluster,
    ):
        (node,) = cluster.nodes.values()
        # etcdctl takes no other scheme; to the node it is the same address.
        peer_url = node.peer_url.replace("tcp://", "http://")
        yield Place("etcdctl", (str(programs / "etcdctl"),), node.endpoint, peer_url)


class HungError(Exception):
    """A command neither ended nor printed what was waited for."""


class Typist:
    """Types the script at one side, in a directory of its own, and remembers the names in it.

    A command that hangs is ended, and tells where it was; what follows it is not typed.
    """

    def __init__(self, place: Place, scratch: Path, patience: float = HANG_SECONDS) -> None:
        self._place = place
        self._scratch = scratch
        self._patience = patience
        self._has_hung = False
        self._names = {
            "endpoint": place.endpoint,
            "peer": place.peer_url,
            "scratch": str(scratch),
        }

    def type(self, step: Step) -> Outcome:
        """Run a step, to its end or until it has printed what it should."""
        if self._has_hung:
            return Outcome("", "not typed, since a command before it hung\n", TIMEOUT_CODE)
        with self._begin(step) as process:
            said = Reader(process.stdout, self._patience)
            errors = Reader(process.stderr, self._patience)
            try:
                others = self._follow(step, process, said) if step.is_following else ""
                ended = Outcome(said.text() + others, errors.text(), self._code(process))
            except HungError as hung:
                self._has_hung = True
                # Who gets this signal says in which lines it was: Go by itself, Python where told.
                process.send_signal(signal.SIGABRT)
                ended = Outcome("", f"it hung, {hung}\n{errors.text()}", TIMEOUT_CODE)
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if step.remember:
            self._names[step.remember] = _remembered(ended.stdout)
        return ended._replace(
            stdout=self._impersonal(ended.stdout), stderr=self._impersonal(ended.stderr)
        )

    def _begin(self, step: Step) -> subprocess.Popen[bytes]:
        with tempfile.TemporaryFile() as typed:
            typed.write(step.stdin.encode())
            typed.seek(0)
            return subprocess.Popen(
                self._words(step),
                env=self._environment(step),
                cwd=self._scratch,
                stdin=typed,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # what it starts ends with it
            )

    def _follow(self, step: Step, process: subprocess.Popen[bytes], said: Reader) -> str:
        """Type the others in time, interrupt the command; what the others printed."""
        said.wait_for(step.lines_before)
        meanwhile = [self.type(other) for other in step.meanwhile]
        said.wait_for(step.lines_in_all)
        process.send_signal(signal.SIGINT)
        # What was typed meanwhile is compared, too, after what it caused.
        return "".join(f"{one.stdout}{one.stderr}{one.code}\n" for one in meanwhile)

    def _code(self, process: subprocess.Popen[bytes]) -> int:
        try:
            code = process.wait(self._patience)
        except subprocess.TimeoutExpired:
            raise HungError("its output at an end") from None
        return code if code >= 0 else 128 - code

    def _words(self, step: Step) -> list[str]:
        return [*self._place.program, *map(self._named, step.words)]

    def _named(self, text: str) -> str:
        return re.sub(r"<(\w+)>", lambda name: self._names[name[1]], text)

    def _environment(self, step: Step) -> Mapping[str, str]:
        kept = {name: v for name, v in os.environ.items() if not name.startswith("ETCDCTL_")}
        given = {name: self._named(text) for name, text in step.environment}
        # etcdctl does not stand both the variable and the flag.
        if not any(word.startswith("--endpoints") for word in step.words):
            given["ETCDCTL_ENDPOINTS"] = self._place.endpoint
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of starts: compile once
        kept["PYTHONFAULTHANDLER"] = "1"  # so that one that hangs can say where
        bytecode = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(self._scratch / "bytecode")}
        return {**kept, **bytecode, **given}

    def _impersonal(self, text: str) -> str:
        return text.replace(str(self._scratch), "<scratch>")


class Reader:
    """Reads a process's output in a thread, so that waiting for it has an end."""

    def __init__(self, stream: IO[bytes] | None, patience: float = HANG_SECONDS) -> None:
        assert stream is not None
        self._stream = stream
        self._patience = patience
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._read: list[bytes] = []
        threading.Thread(target=self._pump, daemon=True).start()

    def wait_for(self, count: int) -> None:
        """Until so many lines have come in all, or the output has ended. Raises HungError."""
        while len(self._read) < count and self._read[-1:] != [END]:
            try:
                self._read.append(self._lines.get(timeout=self._patience))
            except Empty:
                said = b"".join(self._read).decode(errors="replace")
                raise HungError(f"after it had printed {said!r}") from None

    def text(self) -> str:
        """All that is written until the output ends. Raises HungError."""
        self.wait_for(sys.maxsize)
        return b"".join(self._read).decode()

    def _pump(self) -> None:
        for line in self._stream:
            self._lines.put(line)
        self._lines.put(END)


def _remembered(output: str) -> str:
    """The first id in an output, in the hexadecimal form that commands take; or the revision."""
    for pattern, base in _IDS:
        found = pattern.search(output)
        if found is not None:
            return f"{int(found[1], base):x}"
    found = _REVISION.search(output)
    return found[1] if found is not None else ""
