"""The node's command line, as far as it goes without a node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from actors.__main__ import HELP, main, read_flags
from cluster.config import NodeFlags
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m actors` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "actors", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def test_a_flag_wins_over_its_environment_variable() -> None:
    environment = {"LEASEHOLD_NAME": "env", "LEASEHOLD_DATA_DIR": "from-env"}
    flags = read_flags({"name": "typed", "data_dir": None}, environment)
    assert (flags.name, flags.data_dir) == ("typed", "from-env")
    assert flags.heartbeat_interval == NodeFlags().heartbeat_interval


def test_the_lines_that_member_add_prints_are_understood() -> None:
    printed = {
        "ETCD_NAME": "n4",
        "ETCD_INITIAL_CLUSTER": "n1=tcp://h:1,n4=tcp://h:4",
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": "tcp://h:4",
        "ETCD_INITIAL_CLUSTER_STATE": "existing",
    }
    flags = read_flags({}, printed)
    assert (flags.name, flags.initial_cluster_state) == ("n4", "existing")


@pytest.mark.parametrize("field", NodeFlags._fields)
def test_every_flag_is_taken_from_etcds_variable_too(field: str) -> None:
    etcd, own = f"ETCD_{field.upper()}", f"LEASEHOLD_{field.upper()}"
    assert getattr(read_flags({}, {etcd: "1"}), field) == "1"
    assert getattr(read_flags({}, {etcd: "1", own: "2"}), field) == "2"
    assert getattr(read_flags({field: "3"}, {etcd: "1", own: "2"}), field) == "3"


def test_a_variable_that_stands_for_no_flag_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run(
        f"--data-dir={tmp_path}/file",
        ETCD_ENABLE_V2="true",
        LEASEHOLD_NONSENSE="1",
        ETCDCTL_API="3",
    )
    for name in ("ETCD_ENABLE_V2", "LEASEHOLD_NONSENSE"):
        assert (
            f"WARNING  default: the environment variable {name} stands for no flag" in ended.stderr
        )
    assert "ETCDCTL_API" not in ended.stderr


def test_the_log_is_in_utc_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run(f"--data-dir={tmp_path}/file", LEASEHOLD_NONSENSE="1", TZ="Asia/Tokyo")
    said = ended.stderr.split()[0]
    assert said.endswith("Z")
    at = datetime.fromisoformat(said)
    assert abs(datetime.now(UTC) - at) < timedelta(hours=1)


def test_the_log_is_json_on_demand(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run(f"--data-dir={tmp_path}/file", LEASEHOLD_LOG_FORMAT="json", ETCD_NONSENSE="1")
    line, last = map(json.loads, ended.stderr.splitlines())
    assert (line["level"], line["node"]) == ("warn", "default")
    assert "ETCD_NONSENSE" in line["text"]
    assert (ended.returncode, last["level"], last["node"]) == (1, "fatal", "default")
    assert str(tmp_path / "file") in last["text"]


def test_every_flag_is_explained() -> None:
    assert set(HELP) == set(NodeFlags._fields)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--heartbeat-interval=100"],
            "leasehold: --election-timeout[300ms] should be at least as 5 times as"
            " --heartbeat-interval[100ms]\n",
        ),
        (["--nonsense"], "leasehold: unrecognized arguments: --nonsense (see leasehold --help)\n"),
        (
            ["--launcher-fd=987"],
            "leasehold: --launcher-fd=987 is no channel to a launcher: Bad file descriptor\n",
        ),
        (["--data"], "leasehold: unrecognized arguments: --data (see leasehold --help)\n"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_status_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("arguments", "name", "text"),
    [
        (["--nonsense"], "", "unrecognized arguments: --nonsense (see leasehold --help)"),
        (
            ["--name=n1", "--heartbeat-interval=100"],
            "n1",
            "--election-timeout[300ms] should be at least as 5 times as"
            " --heartbeat-interval[100ms]",
        ),
        (
            ["--name=n1", "--launcher-fd=987"],
            "n1",
            "--launcher-fd=987 is no channel to a launcher: Bad file descriptor",
        ),
    ],
)
@pytest.mark.parametrize("typed", [["--log-format=json"], ["--log-format", "json"], []])
def test_where_the_log_is_json_a_wrong_command_line_is_one_line_of_it(
    arguments: list[str],
    name: str,
    text: str,
    typed: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not typed:
        monkeypatch.setenv("ETCD_LOG_FORMAT", "json")
    with pytest.raises(SystemExit) as ended:
        main([*arguments, *typed])
    assert ended.value.code == 2
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["node"], line["text"]) == ("fatal", name, text)
    assert line["time"].endswith("Z")


def test_a_wrong_environment_variable_is_refused_before_anything_is_loaded() -> None:
    ended = run(LEASEHOLD_ELECTION_TIMEOUT="soon")
    assert ended.returncode == 2
    assert ended.stderr == (
        'leasehold: invalid value "soon" for flag --election-timeout: expected an integer'
        " (from LEASEHOLD_ELECTION_TIMEOUT)\n"
    )


def test_version_and_help_go_to_stdout() -> None:
    version = run("--version")
    assert version.returncode == 0
    assert version.stdout.startswith("leasehold Version: ")
    described = run("--help")
    assert described.returncode == 0
    for flag in NodeFlags._fields:
        assert f"--{flag.replace('_', '-')} " in described.stdout
    assert "launcher-fd" not in described.stdout
