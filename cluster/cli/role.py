"""leasectl role: roles, and the keys that they may read and write."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import click

from cluster.cli import completing
from cluster.cli.app import Command
from cluster.cli.ending import bad_arguments
from cluster.cli.limits import NONE, limits_from, limits_text, wanted
from cluster.cli.settings import CliSettings
from cluster.client.requests import EVERYTHING, prefix_end
from cluster.users_table import PERMISSION_TYPE

PREFIX: Final = click.option("--prefix", is_flag=True, help="All keys that begin with KEY")
FROM_KEY: Final = click.option("--from-key", is_flag=True, help="All keys from KEY on")


def _of_one_role(name: str) -> Callable[[Any], Any]:
    """Make a command of a function whose one argument is a role's name."""

    def decorate(function: Callable[[CliSettings, str], None]) -> click.Command:
        @click.command(name, cls=Command, help=function.__doc__)
        @click.argument("words", nargs=-1, metavar="ROLE", shell_complete=completing.roles)
        @click.pass_obj
        def command(settings: CliSettings, words: tuple[str, ...]) -> None:
            if len(words) != 1:
                bad_arguments(f"role {name} command requires role name as its argument")
            function(settings, words[0])

        return command

    return decorate


@_of_one_role("add")
def add(settings: CliSettings, role: str) -> None:
    """Add a role, which may do nothing yet."""
    printer = settings.printer("role add")
    with settings.connect() as client:
        result = client.role_add(role)
    printer.auth_changed(result, f"Role {role} created")


@_of_one_role("delete")
def delete(settings: CliSettings, role: str) -> None:
    """Delete a role, and take it from all users."""
    printer = settings.printer("role delete")
    with settings.connect() as client:
        result = client.role_delete(role)
    printer.auth_changed(result, f"Role {role} deleted")


@_of_one_role("get")
def get(settings: CliSettings, role: str) -> None:
    """Show what a role may do, and how much of it."""
    printer = settings.printer("role get")
    with settings.connect() as client:
        result = client.role_get(role)
    printer.role(role, result)


@click.command("list", cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_obj
def list_roles(settings: CliSettings, words: tuple[str, ...]) -> None:
    """List all roles."""
    if words:
        bad_arguments("role list command requires no arguments")
    printer = settings.printer("role list")
    with settings.connect() as client:
        result = client.role_list()
    printer.roles(result)


@click.command("grant-permission", cls=Command)
@click.argument(
    "words",
    nargs=-1,
    metavar="ROLE read|write|readwrite KEY [END]",
    shell_complete=completing.roles,
)
@PREFIX
@FROM_KEY
@click.pass_obj
def grant_permission(
    settings: CliSettings, words: tuple[str, ...], prefix: bool, from_key: bool
) -> None:
    """Let a role read or write a key, or the keys from KEY up to but without END."""
    if len(words) < 3:
        wanted = "role name, permission type, and key [endkey] as its argument"
        bad_arguments(f"role grant command requires {wanted}")
    role, perm_type, *interval = words
    if perm_type.upper() not in PERMISSION_TYPE.words:
        bad_arguments(f"invalid permission type: {perm_type}")
    key, end = _interval(interval, prefix, from_key)
    printer = settings.printer("role grant-permission")
    with settings.connect() as client:
        result = client.role_grant_permission(role, perm_type.upper(), key, end or None)
    printer.auth_changed(result, f"Role {role} updated")


@click.command("revoke-permission", cls=Command)
@click.argument("words", nargs=-1, metavar="ROLE KEY [END]", shell_complete=completing.roles)
@PREFIX
@FROM_KEY
@click.pass_obj
def revoke_permission(
    settings: CliSettings, words: tuple[str, ...], prefix: bool, from_key: bool
) -> None:
    """Take from a role the permission for exactly this key or interval."""
    if len(words) < 2:
        wanted = "role name and key [endkey] as its argument"
        bad_arguments(f"role revoke-permission command requires {wanted}")
    role, *interval = words
    key, end = _interval(interval, prefix, from_key)
    printer = settings.printer("role revoke-permission")
    with settings.connect() as client:
        result = client.role_revoke_permission(role, key, end or None)
    told = _told(words[1], end)
    printer.auth_changed(result, f"Permission of {told} is revoked from role {role}")


@click.command("set-limits", cls=Command)
@click.argument(
    "words", nargs=-1, metavar="ROLE none|[requests=N] [bytes=N] [watches=N] [leases=N]"
)
@click.pass_obj
def set_limits(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Limit what each user of a role may take: requests and bytes (1000, 64KiB, 1MiB) of them in a
    second and open watches, at each node; leases, in the cluster. What is not named is not limited.

    A user with several roles gets the largest limit that one of them names. The role root has none.
    """
    if len(words) < 2:
        bad_arguments(f"role set-limits command requires a role name, and {NONE} or {wanted()}")
    role, *given = words
    limits = limits_from(tuple(given))
    printer = settings.printer("role set-limits")
    with settings.connect() as client:
        result = client.role_set_limits(role, **limits._asdict())
    printer.auth_changed(result, f"Limits of role {role}: {limits_text(limits)}")


def _interval(words: list[str], prefix: bool, from_key: bool) -> tuple[bytes, bytes]:
    """Key and range_end of a permission, as etcdctl understands its arguments and flags."""
    key = os.fsencode(words[0])
    if prefix and from_key and len(words) == 1:
        bad_arguments("--from-key and --prefix flags are mutually exclusive")
    if not key:
        return EVERYTHING, EVERYTHING if prefix or from_key else b""
    if len(words) > 1:
        for flag, is_given in (("--prefix", prefix), ("--from-key", from_key)):
            if is_given:
                bad_arguments(f"unexpected endkey argument with {flag} flag")
        return key, os.fsencode(words[1])
    if prefix:
        return key, prefix_end(key)
    return key, EVERYTHING if from_key else b""


def _told(key: str, end: bytes) -> str:
    if not end:
        return f"key {key}"
    if end == EVERYTHING:
        return f"range [{key}, <open ended>"
    return f"range [{key}, {os.fsdecode(end)})"
