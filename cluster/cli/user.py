"""leasectl user: users, their passwords, keys and roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from cluster.cli import completing, passwords
from cluster.cli.app import Command
from cluster.cli.ending import bad_arguments
from cluster.cli.output import emit
from cluster.cli.public_keys import key_of
from cluster.cli.settings import CliSettings

INTERACTIVE: Final = click.option(
    "--interactive/--no-interactive",
    default=True,
    help="Ask for the password (or --interactive=false: read it from stdin)  [default: true]",
)


def _of_one_user(name: str, *options: Any) -> Callable[[Any], Any]:
    """Make a command of a function whose one argument is a user's name."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @click.command(name, cls=Command, help=function.__doc__)
        @click.argument("words", nargs=-1, metavar="USER", shell_complete=completing.users)
        @click.pass_obj
        def command(settings: CliSettings, /, words: tuple[str, ...], **more: Any) -> None:
            if len(words) != 1:
                bad_arguments(f"user {name} command requires user name as its argument")
            function(settings, words[0], **more)

        for option in reversed(options):
            option(command)
        return command

    return decorate


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="USER[:PASSWORD]")
@INTERACTIVE
@click.option("--new-user-password", metavar="PASSWORD", help="The password")
@click.option("--no-password", is_flag=True, help="Only a key or a certificate lets the user in")
@click.pass_obj
def add(
    settings: CliSettings,
    words: tuple[str, ...],
    interactive: bool,
    new_user_password: str | None,
    no_password: bool,
) -> None:
    """Add a user, who may do nothing yet; asks for a password unless one is given."""
    if len(words) != 1:
        bad_arguments("user add command requires user name as its argument")
    name, password = words[0], None
    if not no_password:
        name, password = _new_user(words[0], new_user_password, interactive)
    printer = settings.printer("user add")
    with settings.connect() as client:
        result = client.user_add(name, password)
    printer.auth_changed(result, f"User {name} created")


def _new_user(word: str, password: str | None, interactive: bool) -> tuple[str, str]:
    """Name and password of a new user, as etcdctl finds them."""
    if password:
        return word, password
    name, colon, password = word.partition(":")
    if not colon:
        return word, _new_password(word, interactive)
    if not name:
        bad_arguments("empty user name is not allowed")
    return name, password


def _new_password(name: str, interactive: bool) -> str:
    return passwords.ask_new(name) if interactive else passwords.read_word()


@_of_one_user("delete")
def delete(settings: CliSettings, name: str) -> None:
    """Delete a user."""
    printer = settings.printer("user delete")
    with settings.connect() as client:
        result = client.user_delete(name)
    printer.auth_changed(result, f"User {name} deleted")


@_of_one_user("get", click.option("--detail", is_flag=True, help="Show what each role may do"))
def get(settings: CliSettings, name: str, detail: bool) -> None:
    """Show the roles and keys of a user."""
    printer = settings.printer("role get" if detail else "user get")
    with settings.connect() as client:
        result = client.user_get(name)
        if not detail:
            printer.user(name, result)
            return
        emit(f"User: {name}".encode())
        for role in result.roles:
            emit(b"")
            printer.role(role, client.role_get(role))


@click.command("list", cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_obj
def list_users(settings: CliSettings, words: tuple[str, ...]) -> None:
    """List all users."""
    if words:
        bad_arguments("user list command requires no arguments")
    printer = settings.printer("user list")
    with settings.connect() as client:
        result = client.user_list()
    printer.users(result)


@_of_one_user("passwd", INTERACTIVE)
def passwd(settings: CliSettings, name: str, interactive: bool) -> None:
    """Give a user another password."""
    password = _new_password(name, interactive)
    printer = settings.printer("user passwd")
    with settings.connect() as client:
        result = client.user_change_password(name, password)
    printer.auth_changed(result, "Password updated")


@click.command("grant-role", cls=Command)
@click.argument("words", nargs=-1, metavar="USER ROLE", shell_complete=completing.users)
@click.pass_obj
def grant_role(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Give a user the rights of a role."""
    if len(words) != 2:
        bad_arguments("user grant command requires user name and role name as its argument")
    name, role = words
    printer = settings.printer("user grant-role")
    with settings.connect() as client:
        result = client.user_grant_role(name, role)
    printer.auth_changed(result, f"Role {role} is granted to user {name}")


@click.command("revoke-role", cls=Command)
@click.argument("words", nargs=-1, metavar="USER ROLE", shell_complete=completing.users)
@click.pass_obj
def revoke_role(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Take the rights of a role from a user."""
    if len(words) != 2:
        bad_arguments("user revoke-role requires user name and role name as its argument")
    name, role = words
    printer = settings.printer("user revoke-role")
    with settings.connect() as client:
        result = client.user_revoke_role(name, role)
    printer.auth_changed(result, f"Role {role} is revoked from user {name}")


# --- keys, which etcd's users do not have ---


@click.command("add", cls=Command)
@click.argument("name", metavar="USER", shell_complete=completing.users)
@click.argument("key", metavar="PUBLIC-KEY")
@click.pass_obj
def add_key(settings: CliSettings, name: str, key: str) -> None:
    """Let a public key stand for a user: who has its secret half needs no password."""
    public = key_of(key)
    printer = settings.printer("user key add")
    with settings.connect() as client:
        result = client.user_add_key(name, public)
    printer.auth_changed(result, f"Key {key} stands for user {name}")


@click.command("remove", cls=Command)
@click.argument("name", metavar="USER", shell_complete=completing.users)
@click.argument("key", metavar="PUBLIC-KEY")
@click.pass_obj
def remove_key(settings: CliSettings, name: str, key: str) -> None:
    """Let a public key no longer stand for a user."""
    public = key_of(key)
    printer = settings.printer("user key remove")
    with settings.connect() as client:
        result = client.user_remove_key(name, public)
    printer.auth_changed(result, f"Key {key} stands for user {name} no longer")
