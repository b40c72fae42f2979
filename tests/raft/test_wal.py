"""The write-ahead log: what is saved comes back, and damage is repaired or refused, never hidden.

Most tests run the real log over a disk in memory, so that each byte of it can be damaged in turn.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from actors.errors import StorageError
from actors.raft.files import DISK, Files
from actors.raft.log import LogStart, RaftLog
from actors.raft.rpc import Entry, HardState
from actors.raft.wal import RUN_BYTES_MAX, Contents, Identity, Wal
from tests.raft.harness import entry, voters
from tests.simulation.disk import SECTOR_BYTES, SimulatedDisk, sectors

IDENTITY = Identity(0xA1, 0xC1)
MEMBERS = voters(3)
DIRECTORY = Path("/data/wal")
SEGMENT_BYTES = 8 * 1024

Flush = tuple[HardState, tuple[Entry, ...]]


def sized(index: int, term: int, size: int, fill: bytes = b"v") -> Entry:
    """An entry with a command of `size` bytes."""
    return entry(index, term, fill * size)


def state(term: int, commit: int = 0, vote: int = 1) -> HardState:
    return HardState(term, vote, commit)


class Writer:
    """A log on disk, and what its owner knows of it: which entry stands before those it saves."""

    def __init__(self, wal: Wal, log: RaftLog) -> None:
        self.wal = wal
        self.log = log

    def save(self, hard_state: HardState, entries: tuple[Entry, ...]) -> None:
        if entries and entries[0].index <= self.log.last_index:
            self.log.truncate_from(entries[0].index, commit=0)
        start = LogStart(self.log.last_index, self.log.last_term, MEMBERS)
        self.wal.save(hard_state, entries, start)
        if entries:
            self.log.append(entries)

    def close(self) -> None:
        self.wal.close()


def create(
    files: Files = DISK,
    directory: Path = DIRECTORY,
    size: int = SEGMENT_BYTES,
    identity: Identity = IDENTITY,
) -> Writer:
    """A new, empty log."""
    wal, _ = Wal.create(directory, identity, MEMBERS, size, files)
    return Writer(wal, RaftLog())


class Reopened(Writer):
    """A log that was there already, and what it held."""

    def __init__(self, wal: Wal, contents: Contents) -> None:
        super().__init__(wal, contents.log)
        self.contents = contents


def reopen(files: Files, directory: Path = DIRECTORY) -> Reopened:
    """A log that is there already."""
    return Reopened(*Wal.open(directory, SEGMENT_BYTES, files))


def write(
    flushes: Sequence[Flush], files: Files, directory: Path = DIRECTORY, size: int = SEGMENT_BYTES
) -> Writer:
    """A new log with these flushes, still open."""
    wal = create(files, directory, size)
    for hard_state, entries in flushes:
        wal.save(hard_state, entries)
    return wal


def read(files: Files, directory: Path = DIRECTORY) -> Contents:
    """What a log holds."""
    wal, contents = Wal.open(directory, SEGMENT_BYTES, files)
    wal.close()
    return contents


def log_of(contents: Contents) -> list[Entry]:
    return list(contents.log.slice(contents.log.first_index, contents.log.last_index + 1, 1 << 60))


def expected(flushes: Sequence[Flush]) -> tuple[HardState, list[Entry]]:
    """What a log with these flushes must say; the commit index is saved only with a new term."""
    hard_state, log = HardState(0, 0, 0), list[Entry]()
    for saved, entries in flushes:
        if saved[:2] != hard_state[:2]:
            hard_state = saved
        if entries:
            del log[entries[0].index - 1 :]
            log += entries
    return hard_state, log


def holds(contents: Contents, flushes: Sequence[Flush]) -> bool:
    hard_state, log = expected(flushes)
    return contents.hard_state[:2] == hard_state[:2] and log_of(contents) == log


FLUSHES: tuple[Flush, ...] = (
    (state(1), (sized(1, 1, 0),)),
    (state(1), (sized(2, 1, 300), sized(3, 1, 40))),
    (state(2), (sized(3, 2, 700),)),
    (state(3, vote=2), ()),
    (state(3, vote=2), (sized(4, 3, 90), sized(5, 3, 1300))),
)


# --- what is saved comes back ---


def test_a_new_log_is_empty_and_knows_whose_it_is(tmp_path: Path) -> None:
    create(directory=tmp_path / "wal").close()
    wal, contents = Wal.open(tmp_path / "wal")
    wal.close()
    assert contents.identity == IDENTITY
    assert contents.hard_state == HardState(0, 0, 0)
    assert contents.log.last_index == 0


@pytest.mark.parametrize("count", range(len(FLUSHES) + 1))
def test_every_flush_is_there_after_a_restart(tmp_path: Path, count: int) -> None:
    write(FLUSHES[:count], DISK, tmp_path / "wal").close()
    assert holds(read(DISK, tmp_path / "wal"), FLUSHES[:count])


def test_a_reopened_log_goes_on_where_it_ended() -> None:
    disk = SimulatedDisk()
    write((), disk).close()
    for count, (hard_state, entries) in enumerate(FLUSHES, 1):
        wal = reopen(disk)
        wal.save(hard_state, entries)
        wal.close()
        assert holds(read(disk), FLUSHES[:count])


def test_saved_entries_replace_everything_from_their_index_on() -> None:
    disk = SimulatedDisk()
    flushes = [
        (state(1), tuple(sized(index, 1, 10) for index in range(1, 9))),
        (state(2), (sized(4, 2, 10),)),
        (state(3), (sized(5, 3, 10), sized(6, 3, 10))),
        (state(4), (sized(1, 4, 10),)),
    ]
    for count in range(1, 5):
        disk = SimulatedDisk()
        write(flushes[:count], disk).close()
        assert holds(read(disk), flushes[:count])


def test_a_log_of_many_segments_is_read_as_one(tmp_path: Path) -> None:
    flushes = [(state(1 + n // 50), (sized(n, 1 + n // 50, n % 700),)) for n in range(1, 301)]
    write(flushes, DISK, tmp_path / "wal").close()
    assert len(list((tmp_path / "wal").iterdir())) > 5
    assert holds(read(DISK, tmp_path / "wal"), flushes)


def test_a_flush_larger_than_a_segment_gets_one_of_its_own() -> None:
    disk = SimulatedDisk()
    flushes = [
        (state(1), (sized(1, 1, 10),)),
        (state(1), (sized(2, 1, 3 * SEGMENT_BYTES),)),
        (state(1), (sized(3, 1, 10),)),
    ]
    write(flushes, disk).close()
    assert holds(read(disk), flushes)


def test_a_flush_of_many_megabytes_is_split_into_records(tmp_path: Path) -> None:
    flushes = [(state(1), tuple(sized(n, 1, RUN_BYTES_MAX // 3) for n in range(1, 8)))]
    write(flushes, DISK, tmp_path / "wal", size=64 * 2**20).close()
    assert holds(read(DISK, tmp_path / "wal"), flushes)


def test_a_save_is_one_write_and_one_sync() -> None:
    disk = SimulatedDisk()
    wal = write((), disk)
    before = disk.syncs
    wal.save(state(1), (sized(1, 1, 100), sized(2, 1, 100)))
    assert disk.syncs == before + 1
    wal.save(state(1, commit=2), ())
    assert disk.syncs == before + 1, "a commit index alone is not worth a sync"


def test_a_failed_write_or_sync_is_raised(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "input/output error")

    disk = SimulatedDisk()
    wal = write(FLUSHES[:1], disk)
    disk._before_effect = fail
    with pytest.raises(OSError, match="input/output error"):
        wal.save(*FLUSHES[1])


def test_the_latest_vote_and_term_come_back_from_a_later_segment_too() -> None:
    disk = SimulatedDisk()
    votes = [(state(term, vote=term % 3 + 1), ()) for term in range(1, 400)]
    write(votes, disk).close()
    assert len(disk.paths()) > 1
    assert read(disk).hard_state == state(399, vote=1)


# --- torn writes ---


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


def last_flush_of(flushes: Sequence[Flush]) -> tuple[SimulatedDisk, Path, int, int]:
    """A disk with these flushes, its last file, and the range of bytes of the last flush."""
    disk = SimulatedDisk()
    wal = write(flushes[:-1], disk)
    path, start = disk.paths()[-1], wal.wal._offset
    wal.save(*flushes[-1])
    stop = wal.wal._offset
    assert disk.paths()[-1] == path, "the last flush stays in the segment"
    return disk, path, start, stop


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
                raise InterruptedError

        disk = SimulatedDisk(count_down)
        done = -1
        try:
            wal = create(disk)
            for done, (hard_state, entries) in enumerate(flushes):  # noqa: B007
                wal.save(hard_state, entries)
            done = len(flushes)
        except InterruptedError:
            pass
        countdown = 0
        disk.crash(random.randrange)
        if not Wal.exists(DIRECTORY, disk):
            assert done <= 0
            continue
        contents = read(disk)
        assert holds(contents, flushes[:done]) or holds(contents, flushes[: done + 1]), seed


# --- damage ---


def outcomes(disk: SimulatedDisk, flushes: Sequence[Flush]) -> str:
    """What opening a damaged log comes to."""
    try:
        contents = read(disk)
    except StorageError as error:
        assert "damaged at byte" in str(error) and str(DIRECTORY) in str(error), error
        return "refused"
    if holds(contents, flushes):
        return "whole"
    return "repaired" if holds(contents, flushes[:-1]) else "lost"


def test_no_change_of_a_single_byte_goes_unnoticed() -> None:
    """Each byte of the used part, flipped in several ways, in turn."""
    disk, path, start, stop = last_flush_of(FLUSHES)
    whole = bytes(disk.content(path))
    for offset in range(stop):
        for flip in (0x01, 0x80, 0xFF, whole[offset]):
            if not flip:
                continue
            content = bytearray(whole)
            content[offset] ^= flip
            disk.damage(path, content)
            outcome = outcomes(disk, FLUSHES)
            if outcome == "refused":
                continue
            # The padding between records is not covered, and means nothing.
            if outcome == "whole":
                assert whole[offset] == 0 and offset % 8, (offset, flip)
                continue
            # Only what looks like a write that never happened may count as one.
            (first, last), *_ = (p for p in sectors(start, stop) if p[0] <= offset < p[1])
            assert outcome == "repaired", (offset, flip, outcome)
            assert not bytes(content[first:last]).strip(b"\0"), (offset, flip)


def test_a_lost_sector_of_an_earlier_flush_is_refused() -> None:
    disk, path, start, _ = last_flush_of(FLUSHES)
    whole = bytes(disk.content(path))
    for first, last in sectors(0, start):
        content = bytearray(whole)
        content[first:last] = bytes(last - first)
        disk.damage(path, content)
        assert outcomes(disk, FLUSHES) == "refused", first


def test_a_damaged_earlier_segment_is_refused_even_where_it_ends() -> None:
    disk = SimulatedDisk()
    flushes = [(state(1), (sized(n, 1, 500),)) for n in range(1, 40)]
    write(flushes, disk).close()
    first, *_ = disk.paths()
    whole = bytes(disk.content(first))
    end = len(whole.rstrip(b"\0"))
    for lost_from in range(0, end, SECTOR_BYTES):
        disk.damage(first, whole[:lost_from] + bytes(len(whole) - lost_from))
        assert outcomes(disk, flushes) == "refused", lost_from
    disk.damage(first, whole)
    assert outcomes(disk, flushes) == "whole"


def test_rubbish_in_the_reserved_space_loses_nothing() -> None:
    disk, path, _, stop = last_flush_of(FLUSHES)
    whole = bytes(disk.content(path))
    random = Random(3)
    for offset in [stop, stop + 1, stop + 8, stop + 24, stop + 600, len(whole) - 4]:
        content = bytearray(whole)
        content[offset : offset + 4] = random.randbytes(4)
        disk.damage(path, content)
        assert outcomes(disk, FLUSHES) in ("whole", "refused"), offset


@pytest.mark.parametrize("keep", [0, 1, 100, 511, 512, 1024, SEGMENT_BYTES - 1])
def test_a_truncated_file_is_refused(keep: int) -> None:
    disk, path, _, _ = last_flush_of(FLUSHES)
    disk.damage(path, bytes(disk.content(path)[:keep]))
    with pytest.raises(StorageError, match="damaged at byte"):
        read(disk)


def test_a_file_cut_off_exactly_between_two_flushes_is_refused_too() -> None:
    disk, path, start, _ = last_flush_of(FLUSHES)
    disk.damage(path, bytes(disk.content(path)[:start]))
    with pytest.raises(StorageError, match="damaged at byte"):
        read(disk)


def test_a_log_without_its_oldest_segments_begins_later_as_the_node_can_tell() -> None:
    disk = SimulatedDisk()
    write([(state(1), (sized(n, 1, 900),)) for n in range(1, 40)], disk).close()
    disk.remove(disk.paths()[0])
    assert read(disk).log.first_index > 1


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_missing_segment_is_refused(missing: int) -> None:
    disk = SimulatedDisk()
    write([(state(1), (sized(n, 1, 900),)) for n in range(1, 40)], disk).close()
    paths = disk.paths()
    assert len(paths) > 4
    disk.remove(paths[missing])
    with pytest.raises(StorageError, match="damaged at byte"):
        read(disk)


def test_segments_of_two_members_do_not_make_a_log() -> None:
    disk, other = SimulatedDisk(), SimulatedDisk()
    flushes = [(state(1), (sized(n, 1, 900),)) for n in range(1, 40)]
    write(flushes, disk).close()
    wal = create(other, identity=Identity(0xA2, 0xC1))
    for hard_state, entries in flushes:
        wal.save(hard_state, entries)
    path = disk.paths()[2]
    disk.damage(path, bytes(other.content(path)))
    with pytest.raises(StorageError, match="does not follow"):
        read(disk)


def test_a_format_of_the_future_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SimulatedDisk()
    monkeypatch.setattr("actors.raft.wal.FORMAT", 2)
    write(FLUSHES, disk).close()
    monkeypatch.undo()
    with pytest.raises(StorageError, match="log format 2 is unknown to this version"):
        read(disk)


def test_a_directory_without_a_log_is_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a log")
    assert not Wal.exists(tmp_path)
    assert not Wal.exists(tmp_path / "missing")
    with pytest.raises(StorageError, match="no log segment found"):
        Wal.open(tmp_path)


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"{0:016x}.wal").write_text("not a log at all, whatever its name says")
    with pytest.raises(StorageError, match="damaged at byte 0"):
        Wal.open(tmp_path)


def test_a_segment_whose_making_was_cut_short_is_removed(tmp_path: Path) -> None:
    write(FLUSHES, DISK, tmp_path).close()
    (tmp_path / f"{1:016x}.new").write_bytes(b"half")
    assert holds(read(DISK, tmp_path), FLUSHES)
    assert not list(tmp_path.glob("*.new"))


def test_a_torn_end_is_repaired_on_a_real_disk_too(tmp_path: Path) -> None:
    write(FLUSHES, DISK, tmp_path).close()
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    end = len(content.rstrip(b"\0"))
    path.write_bytes(content[: end // 512 * 512] + bytes(len(content) - end // 512 * 512))
    assert holds(read(DISK, tmp_path), FLUSHES[:-1])
    assert len(path.read_bytes()) == len(content)
    wal = reopen(DISK, tmp_path)
    wal.save(*FLUSHES[-1])
    wal.close()
    assert holds(read(DISK, tmp_path), FLUSHES)


# --- the log behind a snapshot, and members ---


class FewRemovals(SimulatedDisk):
    """A disk whose process dies when it removes one file more than that."""

    def __init__(self, removals: int) -> None:
        super().__init__(self.count_down)
        self.removals_left = removals

    def count_down(self) -> None:
        self.removals_left -= self.doing == "remove"
        if self.removals_left < 0:
            raise InterruptedError


def test_a_log_that_was_replaced_from_before_its_oldest_segments_can_be_cut_at_any_moment() -> None:
    """The replacement stands in a later segment that begins earlier."""
    cut_short = 0
    for removals in range(20):
        disk = FewRemovals(removals)
        wal = create(disk)
        for index in range(1, 13):
            wal.save(state(1), (sized(index, 1, SEGMENT_BYTES // 2),))
        for index in range(3, 10):
            wal.save(state(2), (sized(index, 2, SEGMENT_BYTES // 2),))
        try:
            wal.wal.cut(6)
        except InterruptedError:
            cut_short += 1
        disk.removals_left = 0
        disk.doing = ""
        disk.stop()
        contents = read(disk)
        assert contents.log.first_index <= 7 <= contents.log.last_index == 9
        found = [each.term for each in log_of(contents) if each.index > 6]
        assert (found, contents.hard_state[:2]) == ([2, 2, 2], (2, 1))
    assert 5 < cut_short < 20


def test_a_cut_removes_only_whole_segments_that_the_store_holds() -> None:
    disk = SimulatedDisk()
    flushes = [(state(1), (sized(n, 1, 3000),)) for n in range(1, 13)]
    wal = write(flushes, disk)
    segments = len(disk.paths())
    assert segments > 3
    wal.wal.cut(6)
    wal.close()
    contents = read(disk)
    assert len(disk.paths()) < segments
    assert contents.log.first_index <= 7
    assert log_of(contents) == expected(flushes)[1][contents.log.first_index - 1 :]
    assert contents.membership == MEMBERS


def test_entries_replaced_below_the_head_of_a_segment_begin_another() -> None:
    disk = SimulatedDisk()
    flushes = [(state(1), (sized(n, 1, 3000),)) for n in range(1, 9)]
    flushes += [(state(2), (sized(4, 2, 10),)), (state(2), (sized(5, 2, 10),))]
    wal = write(flushes, disk)
    assert holds(read(disk), flushes)
    wal.wal.cut(3)
    contents = read(disk)
    assert [each.term for each in log_of(contents)][-2:] == [2, 2]
    assert contents.log.last_index == 5


def test_a_reset_leaves_nothing_but_what_follows_the_snapshot() -> None:
    disk = SimulatedDisk()
    wal = write(FLUSHES, disk)
    members = voters(5)
    wal.wal.reset(state(7), (sized(101, 7, 20),), LogStart(100, 6, members))
    wal.close()
    contents = read(disk)
    assert (contents.log.first_index, contents.log.last_index) == (101, 101)
    assert (contents.hard_state, contents.membership) == (state(7), members)
    assert len(disk.paths()) == 1


def test_a_note_of_a_coming_snapshot_is_remembered_until_the_reset() -> None:
    disk = SimulatedDisk()
    wal = write(FLUSHES, disk)
    wal.wal.expect_snapshot(100, 6, LogStart(5, 3, MEMBERS))
    assert read(disk).expected == (100, 6)
    assert holds(read(disk), FLUSHES)
    wal.wal.reset(state(7), (), LogStart(100, 6, MEMBERS))
    assert read(disk).log.last_index == 100


def test_a_crash_at_any_moment_of_a_reset_leaves_the_old_log_or_the_new_one() -> None:
    for seed in range(40):
        random = Random(seed)
        countdown = 1 << 30

        def count_down() -> None:
            nonlocal countdown
            countdown -= 1
            if countdown == 0:
                raise InterruptedError

        disk = SimulatedDisk(count_down)
        wal = write(FLUSHES, disk)
        countdown = random.randrange(1, 8)
        with contextlib.suppress(InterruptedError):
            wal.wal.reset(state(7), (sized(101, 7, 20),), LogStart(100, 6, MEMBERS))
        countdown = 1 << 30
        disk.crash(random.randrange)
        contents = read(disk)
        assert holds(contents, FLUSHES) or contents.log.first_index == 101
