"""leasectl member list, add, remove, update, promote and replace; leasectl move-leader."""

from __future__ import annotations

from typing import Final

import click

from cluster.cli import completing
from cluster.cli.app import Command
from cluster.cli.ending import bad_arguments
from cluster.cli.output import complain
from cluster.cli.settings import CliSettings
from cluster.errors import NoLeaderEndpointError
from cluster.values import parse_hex_id

PEER_URLS: Final = click.option(
    "--peer-urls", default="", metavar="URL,...", help="Where the other members reach this one"
)


KEY: Final = click.option(
    "--public-key", "key", default="", metavar="KEY", help="Its key, where members have keys"
)


@click.command("list", cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_obj
def list_members(settings: CliSettings, words: tuple[str, ...]) -> None:
    """List all members in the cluster."""
    printer = settings.printer("member list")
    with settings.connect() as client:
        result = client.member_list()
    printer.member_list(result)


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="NAME")
@PEER_URLS
@click.option("--learner", is_flag=True, help="It learns, and takes no part in votes")
@KEY
@click.pass_obj
def add(
    settings: CliSettings, words: tuple[str, ...], peer_urls: str, learner: bool, key: str
) -> None:
    """Add a member to the cluster, and print the settings to start it with."""
    if not words:
        bad_arguments("member name not provided")
    if len(words) > 1:
        bad_arguments("too many arguments")
    urls = _urls(peer_urls)
    printer = settings.printer("member add")
    with settings.connect() as client:
        result = client.member_add(urls, learner=learner, key=key)
    printer.member_add(result, words[0])
    if result.waiting:
        complain("the cluster takes no writes until the new member has started")


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="MEMBER_ID", shell_complete=completing.members)
@click.pass_obj
def remove(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Remove a member from the cluster for good."""
    member_id = _member_id(words)
    printer = settings.printer("member remove")
    with settings.connect() as client:
        result = client.member_remove(member_id)
    printer.member_changed(member_id, "removed from", result)


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="MEMBER_ID", shell_complete=completing.members)
@PEER_URLS
@click.pass_obj
def update(settings: CliSettings, words: tuple[str, ...], peer_urls: str) -> None:
    """Change the URLs at which the other members reach a member."""
    member_id = _member_id(words)
    urls = _urls(peer_urls)
    printer = settings.printer("member update")
    with settings.connect() as client:
        result = client.member_update(member_id, urls)
    printer.member_changed(member_id, "updated in", result)


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="MEMBER_ID", shell_complete=completing.members)
@click.pass_obj
def promote(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Make a learner that has caught up a voting member."""
    member_id = _member_id(words)
    printer = settings.printer("member promote")
    with settings.connect() as client:
        result = client.member_promote(member_id)
    printer.member_changed(member_id, "promoted in", result)


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="MEMBER_ID NAME", shell_complete=completing.members)
@PEER_URLS
@KEY
@click.pass_obj
def replace(settings: CliSettings, words: tuple[str, ...], peer_urls: str, key: str) -> None:
    """Remove a voting member and add another in one step (not in etcd)."""
    member_id = _member_id(words[:1])
    if len(words) < 2:
        bad_arguments("member name not provided")
    if len(words) > 2:
        bad_arguments("too many arguments")
    urls = _urls(peer_urls)
    printer = settings.printer("member replace")
    with settings.connect() as client:
        result = client.member_replace(member_id, urls, key=key)
    printer.member_replace(member_id, result, words[1])


@click.command("rotate-key", cls=Command)
@click.argument("words", nargs=-1, metavar="MEMBER_ID", shell_complete=completing.members)
@click.pass_obj
def rotate_key(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Have a member make another key, and drop its former one (not in etcd)."""
    member_id = _member_id(words)
    printer = settings.printer("member rotate-key")
    with settings.connect() as client:
        result = client.member_rotate_key(member_id)
    newest = "".join(each.keys[-1] for each in result.members if each.id == member_id)
    printer.member_changed(member_id, f"has the next key {newest} in", result)


@click.command("move-leader", cls=Command)
@click.argument("words", nargs=-1, metavar="MEMBER_ID", shell_complete=completing.members)
@click.pass_obj
def move_leader(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Transfer leadership to another member."""
    if len(words) != 1:
        bad_arguments("move-leader command needs 1 argument")
    try:
        member_id = parse_hex_id(words[0])
    except ValueError as error:
        bad_arguments(str(error))
    printer = settings.printer("move-leader")
    with settings.connect() as client:
        try:
            result = client.move_leader(member_id)
        except NoLeaderEndpointError as error:
            bad_arguments(error.message)
    printer.move_leader(result)


def _member_id(words: tuple[str, ...]) -> int:
    if len(words) != 1:
        bad_arguments("member ID is not provided")
    try:
        return parse_hex_id(words[0])
    except ValueError as error:
        bad_arguments(f"bad member ID arg ({error}), expecting ID in Hex")


def _urls(text: str) -> str:
    if not text:
        bad_arguments("member peer urls not provided")
    return text
