"""The programs of this folder, and those of the pages for users, run against one real cluster."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster
from tests.limits import HANG_SECONDS, PATIENT

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
PAGES = sorted(
    page
    for page in (ROOT / "cluster" / "docs").glob("*.md")
    if "```python" in page.read_text(encoding="utf-8")
)
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.timeout(HANG_SECONDS)

BARE_CLIENT = """\
b'greeting' b'hello' True
[b'greeting']
0 etcdserver: key is not provided
"""

OUTPUTS = {
    "recipes": "True\n70 [b'70', b'30']\nTrue True\nb'node-1:8080'\n",
    "service_discovery": (
        "['services/web/10.0.0.1:80', 'services/web/10.0.0.2:80']\n['services/web/10.0.0.1:80']\n"
    ),
    "leader_failover": "the first leads\nthe second leads\nFalse True\n",
    "config_reload": "red 1\nchanged: config/colour config/size\nblue 2\n",
    "fenced_cron": "True False\nFalse report of 12:00\n",
    "work_queue": "soap is begun\ndry soap wash are done\n",
}
"""What a program prints, and its twin for asyncio, if it has one."""

PROGRAMS = sorted(
    path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith(("test_", "__"))
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(size=3, data_dir=tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture
def endpoints(cluster: LocalCluster) -> str:
    """The addresses of a cluster that holds no key."""
    with Client(cluster.endpoints) as cleaner:
        cleaner.delete(b"\0", from_key=True)
    return ",".join(cluster.endpoints)


def test_every_program_is_run_here() -> None:
    alone = {"bare_client", "recipes"}
    both = {name + end for name in OUTPUTS.keys() - alone for end in ("", "_aio")}
    assert set(PROGRAMS) == alone | both


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "bare_client"])
def test_a_program_prints_what_it_should(
    endpoints: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(FOLDER / f"{name}.py")
    monkeypatch.setattr(sys, "argv", [path, endpoints])
    runpy.run_path(path, run_name="__main__")
    assert capsys.readouterr().out == OUTPUTS[name.removesuffix("_aio")]


def programs_of(page: Path) -> list[tuple[str, str]]:
    """The programs of a page, each with what the page says that it prints."""
    text = page.read_text(encoding="utf-8")
    programs: list[tuple[str, str]] = BLOCK.findall(text)
    assert len(programs) == text.count("```python"), "each block is found"
    return programs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_programs_of_a_page_print_what_it_says(
    endpoints: str,
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LEASECTL_ENDPOINTS", endpoints)
    port = endpoints.rpartition(":")[2]
    written = tmp_path / "program.py"
    for program, said in programs_of(page):
        assert said or "sys.argv" in program, "a page says what its programs print"
        if said:
            written.write_text(program.replace("port=2379", f"port={port}"))
            runpy.run_path(str(written), run_name="__main__")
            assert capsys.readouterr().out == said, program


def test_the_tutorials_program_counts_on_when_the_leader_is_killed(
    cluster: LocalCluster, endpoints: str
) -> None:
    tutorial = programs_of(ROOT / "cluster" / "docs" / "tutorial.md")
    (program,) = [program for program, said in tutorial if not said]
    program = program.replace("Client()", f"Client(timeout={HANG_SECONDS})")
    with subprocess.Popen(
        [sys.executable, "-c", program, str(10**9)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LEASECTL_ENDPOINTS": endpoints},
    ) as counting:
        assert counting.stdout is not None
        numbers = [int(next(counting.stdout)) for _ in range(100)]
        killed = cluster.kill("leader")
        with Client(cluster.endpoints, **PATIENT) as client:
            counted = client.get("tutorial/count")
        assert counted is not None
        # What is printed until here may have been counted by the old leader, but not 100 more.
        while numbers[-1] < int(counted.value) + 100:
            numbers.append(int(next(counting.stdout)))
        counting.kill()
    assert numbers == list(range(1, len(numbers) + 1))
    cluster.start(*killed)


def test_ten_lines_from_the_protocol_page_are_a_client(endpoints: str) -> None:
    for endpoint in endpoints.split(","):
        printed = subprocess.run(
            [sys.executable, str(FOLDER / "bare_client.py"), f"tcp://{endpoint}"],
            check=True,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
        assert printed.stdout == BARE_CLIENT
