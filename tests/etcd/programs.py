"""`python -m tests.etcd go DIR`: a Go program over etcd's own client, on etcd and on ours.

DIR holds etcd and etcdctl. The program is built there with the Go and the client of this machine
(Debian's golang-go and golang-etcd-server-dev). It prints a line for all it does, and no line may
be another on the two sides. It runs with one address, with and without `http://`, and with three of
which one answers nobody; in the last run the leader is killed while it watches.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path
from typing import Final

from cluster.launcher.local import LocalCluster
from cluster.launcher.ports import PortClaims
from tests.bench.etcd import EtcdCluster
from tests.etcd.failover import Etcd, Leasehold, Target

SOURCE: Final = Path(__file__).parent / "clientv3"
GO_PATH: Final = Path("/usr/share/gocode")
CLIENT: Final = GO_PATH / "src/go.etcd.io/etcd/clientv3"
PROGRAM: Final = "clientv3_program"
NODES: Final = 3
KILL: Final = "kill the leader"
"""What the program prints when it wants that done; it goes on after a line in answer."""
DONE: Final = "done"
"""Its last line."""

MISSING: Final = (
    "no Go, or no client of etcd to build with: apt-get install golang-go golang-etcd-server-dev"
)


def is_buildable() -> bool:
    """Whether there is a Go, and the client's source."""
    return shutil.which("go") is not None and CLIENT.is_dir()


def build(directory: Path) -> Path:
    """Build the program in this directory."""
    program = directory.resolve() / PROGRAM
    subprocess.run(
        ["go", "build", "-o", str(program), "main.go"],
        cwd=SOURCE,
        env={**os.environ, "GOPATH": str(GO_PATH), "GO111MODULE": "off", "GOFLAGS": ""},
        check=True,
    )
    return program


def run(directory: Path, say: Callable[[str], None]) -> bool:
    """Run the program on both sides, and tell what differs; whether nothing does."""
    if not is_buildable():
        say(MISSING)
        return False
    program = build(directory)
    with EtcdCluster(directory, NODES) as theirs_cluster:
        theirs = _all_lines(program, Etcd(theirs_cluster))
    with LocalCluster(NODES, front=True) as our_cluster:
        ours = _all_lines(program, Leasehold(our_cluster))
    verdicts = [
        judge(called, of_etcd, of_ours, say)
        for (called, of_etcd), (_, of_ours) in zip(theirs, ours, strict=True)
    ]
    return all(verdicts)


def judge(called: str, of_etcd: list[str], of_ours: list[str], say: Callable[[str], None]) -> bool:
    """Whether the program came to its end, with the same lines on both sides; tells it."""
    differences = list(unified_diff(of_etcd, of_ours, "etcd", "leasehold", lineterm=""))
    is_whole = of_etcd[-1:] == [DONE]
    verdict = (
        "they differ" if differences else "equal" if is_whole else "it did not come to its end"
    )
    say(f"{called}: {len(of_etcd)} lines, {verdict}")
    for line in differences or ([] if is_whole else of_etcd):
        say(f"  {line}")
    return is_whole and not differences


def _all_lines(program: Path, cluster: Target) -> list[tuple[str, list[str]]]:
    """What each run of the program prints."""
    first, *others = cluster.addresses.split(",")
    with PortClaims() as claims:
        (dead,) = claims.claim_free(1)
        one_is_dead = ",".join([f"127.0.0.1:{dead.client}", *others])
        return [
            ("one address", _lines(program, first, cluster)),
            ("http:// before it", _lines(program, f"http://{first}", cluster)),
            ("one of three answers nobody", _lines(program, one_is_dead, cluster)),
            ("a kill of the leader", _lines(program, cluster.addresses, cluster, "-kills")),
        ]


def _lines(program: Path, addresses: str, cluster: Target, *flags: str) -> list[str]:
    command = [str(program), f"-endpoints={addresses}", *flags]
    lines: list[str] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        # It has a time limit of its own, below any at which this would have to end it.
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if lines[-1] == KILL:
                cluster.kill_leader()
                process.stdin.write("\n")
                process.stdin.flush()
    return lines
