"""The write-ahead log: what is saved comes back, and damage is repaired or refused, never hidden.

Most tests run the real log over a disk in memory, so that each byte of it can be damaged in turn.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from actors.language.errors import StorageError
from actors.raft.disk.files import DISK
from actors.raft.disk.wal import RUN_BYTES_MAX, Wal
from actors.raft.disk.wal_reader import Identity
from actors.raft.log import LogStart
from actors.raft.rpc import AppendRequest, HardState
from tests.raft.harness import START_MS, entry, make_core, voters
from tests.raft.wal_rig import (
    DIRECTORY,
    FLUSHES,
    IDENTITY,
    MEMBERS,
    SEGMENT_BYTES,
    Flush,
    create,
    expected,
    holds,
    last_flush_of,
    log_of,
    read,
    reopen,
    sized,
    state,
    write,
)
from tests.simulation.disk import SECTOR_BYTES, SimulatedDisk, sectors
from tests.simulation.seams import CrashError

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
    monkeypatch.setattr("actors.raft.disk.wal.FORMAT", 3)
    write(FLUSHES, disk).close()
    monkeypatch.undo()
    with pytest.raises(StorageError, match="log format 3 is unknown to this version"):
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
            raise CrashError


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
        except CrashError:
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
    wal.wal.expect_snapshot(state(6), (100, 6), LogStart(5, 3, MEMBERS))
    assert read(disk).expected == (100, 6)
    assert holds(read(disk), (*FLUSHES, (state(6), ())))
    wal.wal.reset(state(7), (), LogStart(100, 6, MEMBERS))
    assert read(disk).log.last_index == 100


def test_a_note_that_begins_a_segment_while_entries_are_unsaved_follows_what_is_saved() -> None:
    """An append, its conflict, and the last part of a snapshot come in one burst."""
    core = make_core(terms=(1,) * 6)
    disk = SimulatedDisk()
    flushes: list[Flush] = [(state(1), tuple(sized(n, 1, 1200) for n in range(1, 7)))]
    wal = write(flushes, disk)
    append = AppendRequest(2, 1, 3, 0, 4, 1, 4, (entry(5, 3), entry(6, 3), entry(7, 3)))
    core.step(append, START_MS)
    assert core.replica.log.last_index == 7
    segments = len(disk.paths())
    while len(disk.paths()) == segments:
        wal.wal.expect_snapshot(state(6), (100, 6), core.replica.saved_end())
    disk.crash(lambda limit: limit - 1)
    contents = read(disk)
    assert contents.expected == (100, 6)
    assert log_of(contents) == list(flushes[0][1][:4]), "what was replaced may be gone"


def test_a_segment_is_never_begun_behind_a_gap() -> None:
    disk = SimulatedDisk()
    wal = write(FLUSHES[:1], disk)
    with pytest.raises(AssertionError, match="a segment follows what is saved"):
        for _ in range(SEGMENT_BYTES):
            wal.wal.expect_snapshot(state(6), (100, 6), LogStart(2, 1, MEMBERS))


def test_a_crash_at_any_moment_of_a_reset_leaves_the_old_log_or_the_new_one() -> None:
    for seed in range(40):
        random = Random(seed)
        countdown = 1 << 30

        def count_down() -> None:
            nonlocal countdown
            countdown -= 1
            if countdown == 0:
                raise CrashError

        disk = SimulatedDisk(count_down)
        wal = write(FLUSHES, disk)
        countdown = random.randrange(1, 8)
        with contextlib.suppress(CrashError):
            wal.wal.reset(state(7), (sized(101, 7, 20),), LogStart(100, 6, MEMBERS))
        countdown = 1 << 30
        disk.crash(random.randrange)
        contents = read(disk)
        assert holds(contents, FLUSHES) or contents.log.first_index == 101
