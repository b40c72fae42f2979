"""`python -m tests.etcd suites DIR`: tests of other projects' etcd clients, on etcd and on ours.

DIR holds etcd 3.5.1 and etcdctl; what is fetched and installed for the suites is kept in it. Each
suite runs on one new node of either side, because each takes the whole key space for its own. A
test may only end differently on the two sides if that is listed here, with the reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree

from tests.etcd.sides import Side, etcd, leasehold
from tests.limits import HANG_SECONDS

SUITE_SECONDS: Final = 4 * HANG_SECONDS

READS_BBOLT: Final = "etcdctl snapshot status reads a file of bbolt; ours is one of LMDB"

PLUGIN: Final = "suite_plugin"
AT_ANOTHER_PORT: Final = """
import functools, os, etcd3
port = int(os.environ["PYTHON_ETCD_HTTP_URL"].rpartition(":")[2])
etcd3.client = functools.partial(etcd3.client, port=port)
"""
"""Some of its tests ask at 2379 whatever they are told."""

PASSED: Final = "passed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"


class Suite(NamedTuple):
    """A source distribution with tests, and what they need.

    `variables` are the environment's for a node's address; `expected` has the tests that end
    differently on the two sides, each with the reason. `plugin` is a module for pytest.
    """

    name: str
    version: str
    requirements: tuple[str, ...]
    tests: str
    variables: Callable[[str], dict[str, str]]
    expected: dict[str, str]
    options: tuple[str, ...] = ()
    plugin: str = ""

    @property
    def source(self) -> str:
        """What pip calls the source distribution, and the folder in it."""
        return f"{self.name}-{self.version}"


SUITES: Final = (
    Suite(
        "etcd3gw",
        "2.7.0",
        ("etcd3gw==2.7.0", "pytest", "oslotest"),
        "etcd3gw/tests",
        lambda address: {
            "TOOZ_TEST_HTTP_URL": f"http://{address}",
            "TOOZ_TEST_ETCD_PORT": address.rpartition(":")[2],
        },
        {},
    ),
    Suite(
        "aetcd",
        "1.0.0",
        ("aetcd==1.0.0", "pytest", "pytest-asyncio", "pytest-mock"),
        "tests/integration",
        lambda address: {"TEST_ETCD_HTTP_URL": f"http://{address}"},
        {"test_snapshot": READS_BBOLT},
        ("-o", "asyncio_mode=auto"),
    ),
    Suite(
        "etcd3",
        "0.12.0",
        # Its messages are generated for this protobuf, and its tests for these tools.
        (
            "grpcio<1.60",
            "protobuf<4",
            "six",
            "tenacity==6.1.0",
            "pytest<7",
            "mock",
            "hypothesis==4.57.1",
            "setuptools<80",
        ),
        "tests",
        lambda address: {
            "PYTHON_ETCD_HTTP_URL": f"http://{address}",
            "TEST_ETCD_VERSION": "v3.5.1",
        },
        {"test_snapshot": READS_BBOLT},
        ("-p", PLUGIN),
        AT_ANOTHER_PORT,
    ),
)
"""The suites, by the names of their projects; etcd3 is python-etcd3."""

Outcomes = dict[str, str]


def run(directory: Path, names: Iterable[str], say: Callable[[str], None]) -> bool:
    """Run suites (all, if none is named), and tell what differs; whether all is as expected."""
    chosen = [suite for suite in SUITES if not names or suite.name in names]
    verdicts = [_compare(suite, directory, say) for suite in chosen]
    return all(verdicts)


def _compare(suite: Suite, directory: Path, say: Callable[[str], None]) -> bool:
    home = _prepared(suite, directory / "suites", say)
    with etcd(directory, 1) as side:
        theirs = _outcomes(suite, home, directory, side)
    with leasehold(1) as side:
        ours = _outcomes(suite, home, directory, side)
    for name, outcomes in (("etcd", theirs), ("leasehold", ours)):
        counts = [f"{list(outcomes.values()).count(word)} {word}" for word in (PASSED, FAILED)]
        say(f"{suite.name} {suite.version} on {name}: {', '.join(counts)} of {len(outcomes)}")
    return judge(suite, theirs, ours, say)


def judge(suite: Suite, theirs: Outcomes, ours: Outcomes, say: Callable[[str], None]) -> bool:
    """Tell what differs; whether nothing does but what is expected to."""
    is_well = bool(theirs)
    if not theirs:
        say(f"  {suite.name} has no test")
    for test in sorted(theirs.keys() | ours.keys()):
        of_etcd, of_ours = theirs.get(test, "missing"), ours.get(test, "missing")
        if of_etcd == of_ours:
            continue
        reason = suite.expected.get(test.rpartition("::")[2].partition("[")[0])
        is_well = is_well and reason is not None
        say(f"  {test}: {of_etcd} on etcd, {of_ours} on leasehold: {reason or 'WHY?'}")
    return is_well


def _prepared(suite: Suite, folder: Path, say: Callable[[str], None]) -> Path:
    """The folder of a suite: its source, and a virtual environment for it."""
    home = folder / suite.name
    if (home / "ready").exists():
        return home
    say(f"fetching {suite.name} {suite.version} and what its tests need")
    home.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
    pip = [str(home / "venv/bin/python"), "-m", "pip", "-q"]
    subprocess.run([*pip, "install", *suite.requirements], check=True)
    only_source = ["--no-deps", "--no-binary", suite.name]
    pinned = f"{suite.name}=={suite.version}"
    subprocess.run([*pip, "download", *only_source, "-d", str(home), pinned], check=True)
    with tarfile.open(home / f"{suite.source}.tar.gz") as source:
        source.extractall(home, filter="data")
    (home / "ready").touch()
    return home


def _outcomes(suite: Suite, home: Path, directory: Path, side: Side) -> Outcomes:
    """How each test of a suite ends on this side."""
    report = home.resolve() / f"{side.name}.xml"
    report.unlink(missing_ok=True)
    command = [
        str(home / "venv/bin/python"),
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", *suite.options),
        *(f"--junitxml={report}", suite.tests),
    ]
    environment = {name: text for name, text in os.environ.items() if "ETCDCTL" not in name}
    environment |= suite.variables(side.addresses[0])
    if suite.plugin:
        (home / f"{PLUGIN}.py").write_text(suite.plugin, encoding="utf-8")
        environment["PYTHONPATH"] = str(home.resolve())
    environment["PATH"] = f"{directory.resolve()}:{environment['PATH']}"
    # The modules of these projects beside their tests come first, as in their own runs.
    with (home / f"{side.name}.log").open("wb") as log:
        subprocess.run(
            command,
            cwd=home / suite.source,
            env=environment,
            stdout=log,
            stderr=log,
            timeout=SUITE_SECONDS,
            check=False,
        )
    return outcomes_of(ElementTree.parse(report).getroot())


def outcomes_of(report: ElementTree.Element) -> Outcomes:
    """How each test of a JUnit report ended. A test that failed twice, by itself and at its end, is
    one that failed."""
    outcomes: Outcomes = {}
    for case in report.iter("testcase"):
        test = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag for child in case}
        outcome = PASSED
        if kinds & {"failure", "error"} or outcomes.get(test) == FAILED:
            outcome = FAILED
        elif "skipped" in kinds:
            outcome = SKIPPED
        outcomes[test] = outcome
    return outcomes
