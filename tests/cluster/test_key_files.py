"""Keys on disk: what comes back, and every file that must not be used."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from cluster.curve import HeldKeys, derived_pair, new_pair, pair_of, parse_key
from cluster.key_files import (
    CLIENT,
    MEMBER,
    KeyFileError,
    read,
    read_bootstrap,
    write,
    write_bootstrap,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a member's keys, in a directory that is made with it."""
    return tmp_path / "keys" / "member.key"


def test_what_was_written_is_read_and_is_only_its_owners(path: Path) -> None:
    held = HeldKeys(new_pair(), new_pair(), is_first=True)
    write(path, MEMBER, held)
    assert read(path, MEMBER) == held
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_key_that_others_may_read_or_change_is_refused(path: Path, mode: int) -> None:
    write(path, MEMBER, HeldKeys(new_pair()))
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"its mode is {mode:04o}.*chmod 600 {path}"):
        read(path, MEMBER)


def test_a_key_that_others_may_replace_is_refused(path: Path) -> None:
    write(path, MEMBER, HeldKeys(new_pair()))
    path.parent.chmod(0o770)
    with pytest.raises(KeyFileError, match=f"chmod 700 {path.parent}"):
        read(path, MEMBER)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 2),
        ("kind", "client"),
        ("public", "ab"),
        ("public", "a1" * 32),
        ("secret", 7),
        ("next", {}),
        ("is_first", None),
    ],
)
def test_a_damaged_file_is_named_and_refused(path: Path, field: str, value: object) -> None:
    write(path, MEMBER, HeldKeys(new_pair()))
    fields = json.loads(path.read_text("utf-8"))
    if value is None:
        del fields[field]
    else:
        fields[field] = value
    path.write_text(json.dumps(fields), "utf-8")
    with pytest.raises(KeyFileError, match=f"{path} is damaged, or holds no key of a member"):
        read(path, MEMBER)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 4_000])
def test_what_is_no_key_file_is_refused(path: Path, content: bytes) -> None:
    write(path, CLIENT, HeldKeys(new_pair()))
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match="is damaged"):
        read(path, CLIENT)


def test_a_bootstrap_secret_is_long_private_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_bootstrap(path)
    secret = read_bootstrap(path)
    assert len(secret) == 64
    with pytest.raises(FileExistsError, match="exists already"):
        write_bootstrap(path)
    assert read_bootstrap(path) == secret
    path.write_bytes(b"short")
    with pytest.raises(KeyFileError, match="leasehold key bootstrap"):
        read_bootstrap(path)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_bootstrap(path)


def test_a_first_pair_is_made_of_secret_and_name_and_is_the_same_everywhere() -> None:
    first = derived_pair(b"s" * 32, "n1")
    assert first.public == "123ba90d85bb966e71b88f462e6e2d405e5c59e6b76dc07ec87e3167f528fc44"
    assert first == pair_of(first.secret)
    others = {derived_pair(b"s" * 32, "n2"), derived_pair(b"t" * 32, "n1")}
    assert len(others | {first}) == 3


@pytest.mark.parametrize("text", ["", "a1" * 31, "a1" * 33, "g1" * 32, "a1" * 32 + "\n"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        parse_key(text)


def test_a_key_is_kept_in_lower_case_and_its_secret_is_never_shown() -> None:
    assert parse_key("A1" * 32) == "a1" * 32
    pair = new_pair()
    assert pair.public in repr(HeldKeys(pair))
    assert pair.secret not in repr(HeldKeys(pair))
