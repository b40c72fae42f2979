"""What leasectl prints of users and roles, and how it comes by passwords."""

from __future__ import annotations

import io
import os
import pty
import re
from pathlib import Path

import pytest

from cluster.cli import passwords
from cluster.cli.ending import CommandError
from cluster.cli.fields_printer import FieldsPrinter
from cluster.cli.global_flags import environment_settings
from cluster.cli.json_printer import JsonPrinter
from cluster.cli.limits import limits_from, limits_text
from cluster.cli.printers import Printer
from cluster.cli.public_keys import key_of, text_of
from cluster.cli.settings import CliSettings
from cluster.cli.simple_printer import SimplePrinter
from cluster.client.auth_results import (
    AuthResult,
    AuthStatusResult,
    Permission,
    RoleGetResult,
    RoleLimits,
    RoleListResult,
    UserGetResult,
    UserListResult,
)
from cluster.client.results import Header

HEADER = Header(1, 2, 3, 4)
HEAD = '"ClusterID" : 1\n"MemberID" : 2\n"Revision" : 3\n"RaftTerm" : 4\n'
JSON_HEAD = '"header":{"cluster_id":1,"member_id":2,"revision":3,"raft_term":4}'
KEY = bytes(range(32))
ROLE = RoleGetResult(
    HEADER,
    (
        Permission("READ", b"\0", b"\0"),
        Permission("READ", b"a"),
        Permission("READWRITE", b"a", b"z"),
        Permission("WRITE", b"p", b"q"),
    ),
)


def printed(capfdbinary: pytest.CaptureFixture[bytes]) -> str:
    return capfdbinary.readouterr().out.decode()


def test_a_role_is_printed_as_etcdctl_does(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    SimplePrinter(False).role("r", ROLE)
    assert printed(capfdbinary) == (
        "Role r\nKV Read:\n\t[\0, <open ended>\n\ta\n\t[a, z)\n"
        "KV Write:\n\t[a, z)\n\t[p, q) (prefix p)\n"
    )
    FieldsPrinter(False).role("r", RoleGetResult(HEADER, ROLE.perm[:1]))
    assert printed(capfdbinary) == (
        HEAD + '"PermType" :  READ\n"Key" : "\\x00"\n"RangeEnd" : "\\x00"\n'
    )
    JsonPrinter(False).role("r", RoleGetResult(HEADER, ROLE.perm[1:3]))
    assert printed(capfdbinary) == (
        f'{{{JSON_HEAD},"perm":[{{"key":"YQ=="}},'
        '{"permType":2,"key":"YQ==","range_end":"eg=="}]}\n'
    )


def test_users_and_roles_are_printed(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    simple = SimplePrinter(False)
    simple.user("u", UserGetResult(HEADER, ("a", "b"), (KEY,)))
    simple.user("u", UserGetResult(HEADER, ()))
    simple.users(UserListResult(HEADER, ("u", "v")))
    simple.roles(RoleListResult(HEADER, ("a",)))
    simple.auth_status(AuthStatusResult(HEADER, True, 7))
    simple.auth_changed(AuthResult(HEADER), "done")
    assert printed(capfdbinary).splitlines() == [
        "User: u",
        "Roles: a b",
        f"Key: {text_of(KEY)}",
        "User: u",
        "Roles:",
        "u",
        "v",
        "a",
        "Authentication Status: true",
        "AuthRevision: 7",
        "done",
    ]
    FieldsPrinter(False).roles(RoleListResult(HEADER, ("a", "b")))
    assert printed(capfdbinary) == HEAD + '"Roles" : "a" "b"\n'
    for printer in (JsonPrinter(False), FieldsPrinter(False)):
        printer.auth_changed(AuthResult(HEADER), "done")
    assert printed(capfdbinary) == f"{{{JSON_HEAD}}}\n{HEAD}"


def test_limits_of_a_role_are_printed_where_it_has_some(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    role = RoleGetResult(HEADER, (), RoleLimits(bytes_per_second=1_024, leases=5))
    SimplePrinter(False).role("r", role)
    assert printed(capfdbinary) == "Role r\nKV Read:\nKV Write:\nLimits: bytes=1024 leases=5\n"
    FieldsPrinter(False).role("r", role)
    assert printed(capfdbinary) == HEAD + '"LimitBytes" : 1024\n"LimitLeases" : 5\n'
    JsonPrinter(False).role("r", role)
    limits = '"limits":{"bytes_per_second":1024,"leases":5}'
    assert printed(capfdbinary) == f"{{{JSON_HEAD},{limits}}}\n"


@pytest.mark.parametrize(
    ("words", "limits"),
    [
        ("none", RoleLimits()),
        ("requests=100", RoleLimits(100)),
        ("bytes=1MiB watches=50 leases=1000", RoleLimits(0, 1 << 20, 50, 1_000)),
        ("bytes=64KiB requests=0", RoleLimits(0, 64 << 10)),
    ],
)
def test_limits_are_read_from_words_and_written_in_the_same(words: str, limits: RoleLimits) -> None:
    assert limits_from(tuple(words.split())) == limits
    assert limits_from(tuple(limits_text(limits).split())) == limits


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("requests", "expected none, or some of requests=N bytes=N watches=N leases=N"),
        ("none leases=1", "not 'none'"),
        ("keys=1", "not 'keys=1'"),
        ("leases=1 leases=2", "leases is given twice"),
        ("leases=1MiB", "leases=1MiB: "),
        ("requests=", "requests=: "),
        ("bytes=1mb", 'bytes=1mb: invalid size "1mb"'),
        ("bytes=-1", "not below 0"),
        (f"watches={2**63}", "value out of range"),
        (f"bytes={2**62}KiB", "out of range"),
    ],
)
def test_a_wrong_limit_is_named(words: str, reason: str) -> None:
    with pytest.raises(CommandError, match=re.escape(reason)):
        limits_from(tuple(words.split()))


@pytest.mark.parametrize("printer", [SimplePrinter(False), JsonPrinter(False)])
def test_keys_of_a_user_are_shown(
    printer: Printer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    printer.user("u", UserGetResult(HEADER, (), (KEY,)))
    assert "ey" in printed(capfdbinary)


def test_a_public_key_is_written_in_z85_or_hex() -> None:
    assert key_of(KEY.hex()) == key_of(text_of(KEY)) == KEY
    for text in ("", "short", "z" * 64, '"' * 40, "#" * 40):
        with pytest.raises(CommandError, match="a public key has 40 characters"):
            key_of(text)


def credentials(
    user: str = "", password: str = "", password_file: str = ""
) -> tuple[str, str] | None:
    settings = CliSettings(user=user, password=password, password_file=password_file)
    return settings.credentials()


def test_who_asks_is_found_as_etcdctl_finds_it(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    assert credentials() is None
    assert credentials(password="x") is None
    assert credentials(user="u:a:b") == ("u", "a:b")
    assert credentials(user="u:x", password="y") == ("u:x", "y")
    for nobody in ("u:", ":x"):
        assert credentials(user=nobody) is None
    (tmp_path / "password").write_text("from file\nmore\n")
    assert credentials(user="u", password_file=str(tmp_path / "password")) == ("u", "from file")
    monkeypatch.setattr("sys.stdin", io.StringIO("asked for\n"))
    settings = CliSettings(user="u")
    assert [settings.credentials() for _ in range(2)] == [("u", "asked for")] * 2
    assert printed(capfdbinary) == "Password: \n"


def test_the_environment_may_say_who_asks() -> None:
    settings = environment_settings({"ETCDCTL_USER": "a:b", "LEASECTL_USER": "c:d"})
    assert settings.credentials() == ("c", "d")
    told = repr(environment_settings({"LEASECTL_USER": "u:secret", "LEASECTL_PASSWORD": "secret"}))
    assert "secret" not in told


@pytest.mark.parametrize("content", [None, b"\xff\xfesecret"])
def test_a_password_file_that_cannot_be_read_is_an_error_without_its_content(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError) as failed:
        passwords.from_file(str(path))
    assert str(path) in failed.value.message
    assert "secret" not in failed.value.message


def test_what_is_typed_at_a_prompt_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, terminal = pty.openpty()
    typed = [b"secret\n"]

    def shown(*_: object, **__: object) -> None:
        """A person types when the prompt is there."""
        while typed:
            os.write(ours, typed.pop())

    monkeypatch.setattr(passwords, "emit", shown)
    with os.fdopen(terminal, "r") as stdin, os.fdopen(ours, "rb", buffering=0) as screen:
        monkeypatch.setattr("sys.stdin", stdin)
        assert passwords.ask("Password: ") == "secret"
        os.set_blocking(ours, False)
        assert screen.read(1_000) is None
        # Afterwards the terminal shows again what is typed.
        os.write(ours, b"seen\n")
        assert stdin.readline() == "seen\n"
        assert screen.read(1_000) == b"seen\r\n"
