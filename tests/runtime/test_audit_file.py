"""The audit log's file on a real disk: who may read it, how it rotates, what a full disk does."""

from __future__ import annotations

import json
import logging
import os
import resource
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import pytest

from actors.language.errors import StorageError
from actors.runtime import audit_file
from actors.runtime.audit_file import AuditFile
from tests.cluster.test_private import all_taken
from tests.limits import HANG_SECONDS

MEGABYTE = 1 << 20


def opened(path: Path, bytes_max: int = MEGABYTE, kept: int = 2) -> AuditFile:
    return AuditFile(path, bytes_max, kept, "n1")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def numbers(path: Path) -> list[int]:
    return [line["number"] for line in lines(path)]


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record is written by itself, also if others wait."""
    monkeypatch.setattr(audit_file, "AT_ONCE", 1)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process may grow beyond this size: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("one_at_a_time")
def test_no_record_is_lost_when_it_rotates_though_connections_have_all_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.log"
    log = opened(path, bytes_max=300, kept=20)
    rotate = RotatingFileHandler.rotate
    with all_taken(), ExitStack() as stack:

        def rotated(self: RotatingFileHandler, source: str, target: str) -> None:
            # As libzmq would, the next connection takes the descriptor that the file had.
            with suppress(OSError):
                stack.callback(os.close, os.open("/dev/null", os.O_RDONLY))
            rotate(self, source, target)

        monkeypatch.setattr(RotatingFileHandler, "rotate", rotated)
        for number in range(20):
            log.write({"number": number})
        log.close()
    assert log.lost == 0
    files = [path, *(path.with_name(f"{path.name}.{kept}") for kept in range(1, 20))]
    found = [numbers(each) for each in files if each.exists()]
    assert len(found) > 1
    assert sorted(number for each in found for number in each) == list(range(20))


def test_a_record_is_a_line_of_json_with_the_time_and_the_node(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = opened(path)
    log.write({"op": "put", "request": {"key": 'a"\n{}'}, "outcome": "ok"})
    log.close()
    (line,) = lines(path)
    assert list(line) == ["time", "node", "op", "request", "outcome"]
    assert (line["node"], line["request"]) == ("n1", {"key": 'a"\n{}'})
    assert line["time"].endswith("Z")


@pytest.mark.usefixtures("one_at_a_time")
def test_only_its_owner_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    before = os.umask(0)
    try:
        log = opened(path, bytes_max=300)
        for number in range(20):
            log.write({"number": number})
        log.close()
    finally:
        os.umask(before)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("audit.log", "audit.log.1", "audit.log.2"), 0o600)


@pytest.mark.usefixtures("one_at_a_time")
def test_it_rotates_by_size_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = opened(path, bytes_max=300)
    for number in range(20):
        log.write({"number": number})
    log.close()
    files = [path.with_name(f"audit.log{suffix}") for suffix in (".2", ".1", "")]
    assert all(0 < each.stat().st_size <= 300 for each in files)
    kept = [number for each in files for number in numbers(each)]
    assert kept == list(range(20))[-len(kept) :]
    assert log.lost == 0


def test_it_goes_on_after_a_restart_behind_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = opened(path)
    log.write({"number": 1})
    log.close()
    with path.open("a") as file:
        file.write('{"number": 2, "ti')
    log = opened(path)
    log.write({"number": 3})
    log.close()
    first, torn, last = path.read_text().splitlines()
    assert (json.loads(first)["number"], torn) == (1, '{"number": 2, "ti')
    assert json.loads(last)["number"] == 3


def a_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def readable_by_others(path: Path) -> None:
    path.touch()
    path.chmod(0o640)


def taken(path: Path) -> None:
    HELD.append(opened(path))


HELD: list[AuditFile] = []


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Path.mkdir, "must name a regular file"),
        (os.mkfifo, "must name a regular file"),
        (a_link, "must name a regular file"),
        (readable_by_others, "others may read or change this audit log (its mode is 0640): `chmod"),
        (taken, "another process writes this audit log"),
        (lambda path: path.parent.rmdir(), "needs a directory that exists"),
        (lambda path: path.parent.chmod(0o500), "needs a directory that exists and in which the"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused(
    tmp_path: Path, make: Callable[[Path], None], why: str
) -> None:
    path = tmp_path / "logs" / "audit.log"
    path.parent.mkdir()
    make(path)
    if why.endswith("which the") and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    try:
        with pytest.raises(StorageError) as caught:
            opened(path)
    finally:
        while HELD:
            HELD.pop().close()
    assert str(caught.value).startswith(f"{path}: ") and why in str(caught.value)


def test_records_that_come_faster_than_they_are_written_are_written_in_order(
    tmp_path: Path,
) -> None:
    path = tmp_path / "audit.log"
    log = opened(path)
    for number in range(500):
        log.write({"number": number})
    log.close()
    assert numbers(path) == list(range(500))


@pytest.mark.usefixtures("one_at_a_time")
def test_a_full_disk_loses_records_counts_them_and_says_so_in_log_and_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "audit.log"
    log = opened(path)
    log.write({"number": 1})
    with caplog.at_level(logging.WARNING), files_of_at_most(200):
        for number in range(2, 12):
            log.write({"number": number, "filling": "x" * 100})
        log._waiting.put(None)
        log._thread.join(HANG_SECONDS)
        assert not log._thread.is_alive()
    lost = log.lost
    assert 9 <= lost <= 10
    assert f"an audit record is lost: {path}: File too large" in caplog.text
    log._file.close()
    log = opened(path)
    log.write({"number": 12})
    log.close()
    assert json.loads(path.read_text().splitlines()[-1])["number"] == 12


def test_when_there_is_room_again_the_file_says_what_is_missing_in_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "audit.log"
    log = opened(path)
    with caplog.at_level(logging.WARNING):
        with files_of_at_most(0):
            for number in range(3):
                log.write({"number": number})
            end = time.monotonic() + HANG_SECONDS
            while log.lost < 3 and time.monotonic() < end:
                log._thread.join(0.01)
        log.write({"number": 3})
        log.close()
    missing, written = lines(path)
    assert (missing["lost"], written["number"]) == (3, 3)
    assert "the audit log is written again; 3 records are lost" in caplog.text


def test_records_that_would_wait_beyond_the_limit_are_lost_and_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit_file, "RECORDS_WAITING_MAX", 5)
    log = opened(tmp_path / "audit.log")
    log._waiting.put(None)
    log._thread.join(HANG_SECONDS)
    with caplog.at_level(logging.WARNING):
        log.write({"request": {"ops": [{}, {}]}})
        for _ in range(4):
            log.write({})
    assert log.lost == 2
    assert "too many wait to be written" in caplog.text
