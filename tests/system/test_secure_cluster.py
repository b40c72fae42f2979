"""run_cluster.py --secure as its user meets it: who gets in, what the prompt does, who comes."""

from __future__ import annotations

import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from cluster import AuthenticationError, Client, PermissionDeniedError
from cluster.curve import new_pair
from cluster.key_files import MEMBER, MEMBER_FILE, read
from cluster.keyed import seal
from cluster.launcher.ports import ports_from
from cluster.launcher.program import DATA_DIR
from cluster.launcher.secure import pasting
from cluster.launcher.secure.files import APP, PEOPLE, ROOT, SecureFiles
from cluster.processes import import_environment
from cluster.schemes import HTTPS, TCP
from cluster.wire import pack, unpack
from tests.limits import HANG_MS, HANG_SECONDS
from tests.ports import free_base_port
from tests.system.test_run_cluster import Launcher, run

pytestmark = pytest.mark.process


class Running:
    """A secure cluster that a launcher runs, and what its user has pasted."""

    def __init__(self, directory: Path) -> None:
        base = free_base_port()
        self.directory = directory
        self.data_dir = directory / DATA_DIR
        self.endpoints = [f"{HTTPS}127.0.0.1:{pair.client}" for pair in ports_from(base, 3)]
        self.launcher = Launcher("--secure", "--base-port", str(base), cwd=directory)
        self.launcher.expect(r"3 nodes, ready in [^\n]*\n(.*\n)+?.*leads \(term")
        self.files = SecureFiles(self.data_dir)

    def client(self, user: str, **others: str) -> Client:
        """A client that has logged in."""
        login = {"user": user, "password": self.files.password(user), **others}
        return Client(
            self.endpoints,
            timeout=HANG_SECONDS,
            ca_cert=self.files.certificate.cert_file,
            user=login["user"],
            password=login["password"],
        )

    def leasectl(self, *words: str, **others: str) -> subprocess.CompletedProcess[str]:
        """leasectl, with the variables that a program gets from the launcher."""
        variables = {**pasting.variables(self.endpoints, self.files), **others}
        return subprocess.run(
            (sys.executable, "-m", "cluster.cli", f"--command-timeout={HANG_SECONDS:g}s", *words),
            env={**import_environment(), **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=HANG_SECONDS,
        )

    def key_of(self, name: str) -> str:
        """The public key of a member, as its data directory has it."""
        return read(self.data_dir / name / MEMBER_FILE, MEMBER).pair.public

    def direct(self, name: str) -> str:
        """Where a node itself listens."""
        found = re.search(
            rf"serves clients on {HTTPS}\S+, {TCP}(\S+?),",
            (self.data_dir / f"{name}.log").read_text(),
        )
        assert found is not None
        return found[1]

    def ctl(self, *words: str) -> str:
        """Do a command of the prompt; what it said."""
        done = run("ctl", *words, cwd=self.directory)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = Running(tmp_path_factory.mktemp("secure"))
    yield made
    made.launcher.end(signal.SIGINT)


def test_leasectl_writes_as_app_through_tls_and_nobody_does_without(running: Running) -> None:
    assert running.leasectl("put", "a", "b").stdout == "OK\n"
    nobody = running.leasectl("get", "a", LEASECTL_USER="", ETCDCTL_USER="")
    assert (nobody.returncode != 0, nobody.stdout) == (True, "")
    assert "etcdserver: user name is empty" in nobody.stderr


def test_each_user_may_do_what_its_role_says(running: Running) -> None:
    with running.client(ROOT) as root:
        assert set(root.user_list().users) == {APP, ROOT, "launcher"}
    with running.client(APP) as app:
        app.put("c", "d")
        with pytest.raises(PermissionDeniedError):
            app.user_list()
    with running.client(APP, password="wrong") as wrong, pytest.raises(AuthenticationError):
        wrong.put("c", "e")


def test_a_node_itself_lets_in_only_keys_and_an_unknown_key_is_nobody(running: Running) -> None:
    with zmq.Context() as context:
        plain, sealed = (context.socket(zmq.DEALER) for _ in range(2))
        seal(sealed, running.key_of("n1"), new_pair())
        for each in (plain, sealed):
            each.linger = 0
            each.setsockopt(zmq.IMMEDIATE, 1)
            each.connect(TCP + running.direct("n1"))
        assert sealed.poll(HANG_MS, zmq.POLLOUT), "any key comes in"
        sealed.send(pack({"op": "range", "key": b"a", "id": 1}))
        assert sealed.poll(HANG_MS)
        assert unpack(sealed.recv())["error"]["message"] == "etcdserver: user name is empty"
        assert not plain.poll(0, zmq.POLLOUT), "without a key nobody comes in"
        plain.close()
        sealed.close()


def test_the_prompt_writes_and_measures_the_kill_of_the_leader(running: Running) -> None:
    launcher = running.launcher
    launcher.type("put greeting hello\nget greeting\n")
    launcher.expect(r"greeting = hello")
    assert "was killed by SIGKILL" in running.ctl("kill", "leader")
    name, after = launcher.expect(
        r"#\d+ (n\d) \(leader\) was killed by SIGKILL: (n\d) leads"
    ).groups()
    launcher.expect(r"0 lost, 0 doubled; linearizable")
    assert f"{name} > {after}" in running.ctl("report")
    running.ctl("start", name)


def test_a_member_that_comes_has_a_key(running: Running) -> None:
    running.ctl("add", "n9")
    with running.client(ROOT) as root:
        member = next(each for each in root.member_list().members if each.name == "n9")
    assert member.keys == (running.key_of("n9"),)


def test_the_launcher_follows_a_member_that_changes_its_key(running: Running) -> None:
    before = running.key_of("n2")
    with running.client(ROOT) as root:
        member = next(each for each in root.member_list().members if each.name == "n2")
        root.member_rotate_key(member.id)
    deadline = time.monotonic() + HANG_SECONDS
    while running.key_of("n2") == before:
        assert time.monotonic() < deadline
        running.ctl("get", "nothing")
    running.ctl("transfer", "n2")
    running.ctl("transfer", "n1")  # the launcher asks the leader for that


def test_what_is_secret_is_on_no_screen_in_no_log_and_in_no_arguments(running: Running) -> None:
    secrets = [running.files.password(user) for user in PEOPLE]
    told = [path.read_text() for path in running.data_dir.iterdir() if path.is_file()]
    pids = re.findall(r"pid (\d+)", running.launcher.output)
    ran = [Path(f"/proc/{pid}/cmdline") for pid in pids]
    told += [path.read_text() for path in ran if path.exists()]
    assert f"--data-dir={running.data_dir / 'n1'}" in "\n".join(told), "it looks at arguments"
    for secret in secrets:
        assert not any(secret in text for text in (running.launcher.output, *told))
    for path in running.data_dir.rglob("*"):
        if path.name != "cert.pem" and not path.is_socket():
            assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path
