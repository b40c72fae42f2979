"""The plugin for pytest, as somebody's tests use it."""

from __future__ import annotations

import tomllib
from importlib import import_module
from importlib.metadata import entry_points

import pytest

from cluster.launcher.local import IMPORT_ROOT

pytest_plugins = ["pytester"]

TESTS = """
import os
import pytest
from cluster import Client, LauncherError, LocalCluster

def test_a_put_survives_the_leader(leasehold_cluster: LocalCluster) -> None:
    assert len(leasehold_cluster.running) == 3
    (killed,) = leasehold_cluster.kill("Leader")
    with Client(leasehold_cluster.endpoints) as client:
        client.put("greeting", "hello")
    with pytest.raises(LauncherError, match=f"start {killed} brings it back"):
        leasehold_cluster.kill(killed)

@pytest.mark.leasehold(size=1)
def test_that_fails(leasehold_cluster: LocalCluster) -> None:
    assert len(leasehold_cluster.running) == 7
"""


@pytest.mark.process
def test_a_test_gets_a_cluster_and_a_failed_one_tells_what_happened(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(IMPORT_ROOT))
    pytester.makepyfile(TESTS)
    is_installed = bool(entry_points(group="pytest11", name="leasehold"))
    plugin = [] if is_installed else ["-p", "cluster.pytest_plugin"]
    result = pytester.runpytest_subprocess("--strict-markers", "-p", "no:xdist", *plugin)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.re_match_lines(
        [
            ".*assert 1 == 7.*",
            ".* what happened to leasehold_cluster .*",
            r"....-..-..T..:..:..\....Z  - +n1 starts \(pid \d+\)",
            r".*  - +ready in .*: n1 leads \(term \d+\), 1 of 1 nodes run",
        ]
    )


def test_an_installed_package_brings_the_plugin() -> None:
    project = tomllib.loads((IMPORT_ROOT / "pyproject.toml").read_text())
    module = import_module(project["project"]["entry-points"]["pytest11"]["leasehold"])
    assert hasattr(module, "leasehold_cluster")
