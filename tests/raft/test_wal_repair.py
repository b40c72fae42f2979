"""The end of the log after a crash: a torn write is repaired, whatever stops the repair."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from actors.raft.disk.wal import Wal
from tests.raft.wal_rig import (
    DIRECTORY,
    FLUSHES,
    Flush,
    create,
    holds,
    last_flush_of,
    log_of,
    read,
    reopen,
    sized,
    state,
    write,
)
from tests.simulation.disk import SimulatedDisk, sectors
from tests.simulation.seams import CrashError


@pytest.mark.parametrize("error", [OSError, RuntimeError])
def test_what_was_written_and_not_synced_is_durable_once_it_has_been_read_again(
    error: type[Exception],
) -> None:
    """The process is killed before the sync, or ends because it fails; later the power is cut."""
    disk = SimulatedDisk()
    wal = write(FLUSHES[:2], disk)

    def fail() -> None:
        if disk.doing == "sync":
            raise error

    disk._before_effect = fail
    with pytest.raises(error):
        wal.save(*FLUSHES[2])
    disk._before_effect = lambda: None
    disk.stop()
    assert holds(read(disk), FLUSHES[:3])
    disk.crash(lambda limit: limit - 1)  # nothing that is not synced is kept
    assert holds(read(disk), FLUSHES[:3])


TORN = [
    pytest.param(FLUSHES[:count], id=f"flush {count}") for count in range(1, len(FLUSHES) + 1)
] + [
    pytest.param((*FLUSHES, (state(4), (sized(3, 4, 2900, bytes(1)),))), id="zeros"),
    pytest.param((*FLUSHES, (state(4), (sized(3, 4, 2900),))), id="a new term and a suffix"),
    pytest.param((*FLUSHES, (state(3, vote=2), (sized(6, 3, 2600),))), id="seven sectors"),
]


@pytest.mark.parametrize("flushes", TORN)
def test_every_set_of_lost_sectors_of_the_last_flush_is_repaired(flushes: Sequence[Flush]) -> None:
    disk, path, start, stop = last_flush_of(flushes)
    whole = bytes(disk.content(path))
    parts = sectors(start, stop)
    assert len(parts) <= 8
    for lost in itertools.product((False, True), repeat=len(parts)):
        torn = bytearray(whole)
        for (first, last), is_lost in zip(parts, lost, strict=True):
            if is_lost:
                torn[first:last] = bytes(last - first)
        disk.damage(path, torn)
        survives = torn == whole
        contents = read(disk)
        assert holds(contents, flushes if survives else flushes[:-1]), lost
        assert contents.hard_state.commit <= contents.log.last_index
        assert bytes(disk.content(path)[stop:]).strip(b"\0") == b"", "the torn end is erased"
        assert holds(read(disk), flushes if survives else flushes[:-1])


def test_a_torn_flush_leaves_neither_its_term_nor_its_commit_index_behind() -> None:
    """The commit index of a flush that replaced entries must not commit those it replaced."""
    flushes = [
        (state(2), (sized(1, 1, 10), sized(2, 2, 10), sized(3, 2, 10))),
        (state(3, commit=3), (sized(2, 3, 600), sized(3, 3, 600))),
    ]
    disk, path, start, stop = last_flush_of(flushes)
    torn = bytearray(disk.content(path))
    first_sector_end = sectors(start, stop)[0][1]
    torn[first_sector_end:stop] = bytes(stop - first_sector_end)
    disk.damage(path, torn)
    contents = read(disk)
    assert contents.hard_state == state(2)
    assert [each.term for each in log_of(contents)] == [1, 2, 2]


class Interrupted(SimulatedDisk):
    """A disk whose process ends before its operation number `stop_at`, with this error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(self.count_down)
        self.error = error
        self.stop_at = 0

    def count_down(self) -> None:
        self.stop_at -= 1
        if self.stop_at == 0:
            raise self.error


def remains(disk: SimulatedDisk, path: Path) -> Iterator[bytes]:
    """What a power cut may leave of a file: any set of sectors of what was not synced."""
    pending = [
        (first, data[first - offset : last - offset])
        for offset, data in disk.pending(path)
        for first, last in sectors(offset, offset + len(data))
    ]
    old = bytes(disk.content(path))
    changes = [(at, new) for at, new in pending if new != old[at : at + len(new)]]
    for arrived in itertools.product((False, True), repeat=len(changes)):
        content = bytearray(old)
        for (at, new), is_there in zip(changes, arrived, strict=True):
            if is_there:
                content[at : at + len(new)] = new
        yield bytes(content)


def tears(whole: bytes, start: int, stop: int) -> list[bytes]:
    """A file whose last flush lost its first, its last, all but one, or a pair of its sectors."""
    parts = sectors(start, stop)
    lost_sets = [parts[:1], parts[-1:], parts[1:], parts[:-1], parts[::2], parts[1::2], parts]
    torn = []
    for lost in lost_sets:
        content = bytearray(whole)
        for first, last in lost:
            content[first:last] = bytes(last - first)
        torn.append(bytes(content))
    return [each for each in torn if each != whole and each[start:].strip(b"\0")]


@pytest.mark.parametrize("error", [RuntimeError(), OSError(errno.ENOSPC, "no space left")])
@pytest.mark.parametrize("flushes", TORN)
def test_a_repair_may_stop_at_any_step_and_lose_any_of_its_sectors(
    flushes: Sequence[Flush], error: Exception
) -> None:
    """A kill, a full disk or a power cut in it leaves a log that is repaired again."""
    whole_disk, path, start, stop = last_flush_of(flushes)
    whole = bytes(whole_disk.content(path))
    for torn in tears(whole, start, stop):
        for step in itertools.count(1):
            disk = Interrupted(error)
            write(flushes, disk).close()
            disk.damage(path, torn)
            disk.stop_at = step
            try:
                read(disk)
            except type(error):
                disk.stop()
            else:
                break
            assert len(disk.content(path)) == len(whole), "a log never changes its size"
            for left in {*remains(disk, path), bytes(disk.content(path))}:
                disk.damage(path, left)
                assert holds(read(disk), flushes[:-1]), (step, left == torn)
        assert step > 3, "it writes, and syncs what it has written"
        assert bytes(disk.content(path)[start:]).strip(b"\0") == b""


def test_after_a_repair_the_log_goes_on_and_can_be_torn_again() -> None:
    disk, path, start, _ = last_flush_of(FLUSHES)
    random = Random(5)
    for _ in range(20):
        disk.content(path)[start + 100 :] = bytes(len(disk.content(path)) - start - 100)
        disk.damage(path, disk.content(path))
        wal = reopen(disk)
        assert holds(wal.contents, FLUSHES[:-1])
        wal.save(*FLUSHES[-1])
        disk.crash(random.randrange)
    assert holds(read(disk), FLUSHES)


def test_a_crash_at_any_moment_of_any_save_keeps_all_that_was_saved_before() -> None:
    """Over hundreds of crashes: each save is there wholly or not at all, and all before it are."""
    # Each ninth save is of a new term, and replaces what the last two had.
    flushes = [
        (state(1 + n // 9), (sized(n - 2 * (n // 9), 1 + n // 9, 37 * n % 2000),))
        for n in range(1, 60)
    ]
    for seed in range(150):
        random = Random(seed)
        countdown = random.randrange(1, 150)

        def count_down() -> None:
            nonlocal countdown
            countdown -= 1
            if countdown == 0:
                raise CrashError

        disk = SimulatedDisk(count_down)
        done = -1
        try:
            wal = create(disk)
            for done, (hard_state, entries) in enumerate(flushes):  # noqa: B007
                wal.save(hard_state, entries)
            done = len(flushes)
        except CrashError:
            pass
        countdown = 0
        disk.crash(random.randrange)
        if not Wal.exists(DIRECTORY, disk):
            assert done <= 0
            continue
        contents = read(disk)
        assert holds(contents, flushes[:done]) or holds(contents, flushes[: done + 1]), seed
