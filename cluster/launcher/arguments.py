"""The command line of `run_cluster.py`: what is to be run, and with which options.

Each wrong argument is one line that says what is right, and exit status 2.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from cluster.config import NodeFlags, resolve
from cluster.flag_values import ConfigError
from cluster.flags import EXIT_USAGE, FlagParser, fail
from cluster.launcher.commands.table import command_of, page_of, read_line
from cluster.launcher.naming import suggestion
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.ports import BASE_PORT, PORT_MAX, SIZE_MAX, WEB_PORT
from cluster.launcher.program import CTL, DATA_DIR, PROGRAM
from cluster.launcher.screens.choice import Form
from cluster.launcher.shows import chaos, tour

DESCRIPTION: Final = f"""\
Starts a Leasehold cluster on this machine and shows what happens to it.

Kill a node, at the prompt or from another terminal: you see at once who leads
next and how long writes were unavailable. help at the prompt lists the
commands. The data is kept in ./{DATA_DIR} for the next start. Ctrl-C stops the
cluster; twice: at once."""

EPILOG: Final = f"""\
{PROGRAM} tour [--yes] shows what a cluster does, and checks it.
{PROGRAM} chaos --for 2m --seed 7 --assert 'p99(write_outage_ms)<200' harms a
cluster and exits with 0 if all was well. help chaos at the prompt has more.
{PROGRAM} {CTL} COMMAND does a command of the prompt from another terminal.
{PROGRAM} [flags] -- CMD ARGS starts a cluster on free ports, with its
data in a temporary directory, runs CMD with LEASECTL_ENDPOINTS set, stops the
cluster and exits with CMD's status.
{PROGRAM} --secure gives a new cluster keys, a certificate, and users with
passwords, and says how to log in. It is secure at each later start, too."""

SHOWS: Final = {"tour": tour.steps_of, "chaos": chaos.campaign_of}
"""Commands of the prompt that can be a whole run: a cluster starts for it, and its verdict is the
exit status. Each with what finds wrong words before that."""

VERBS: Final = ("up", CTL, *SHOWS)
"""The first word of a command line; without one it is the first of these."""


class LaunchOptions(NamedTuple):
    """What to start. None: not given, so the value recorded in the data directory holds."""

    size: int | None = None
    base_port: int | None = None
    data_dir: str | None = DATA_DIR
    restart: bool = False
    secure: bool = False
    form: Form = "auto"
    web: bool = False
    web_port: int | None = None
    node_flags: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    show: tuple[str, ...] = ()


def parse(arguments: Sequence[str]) -> LaunchOptions:
    """Read the command line; ends the program with one line on stderr if it is wrong."""
    verb = arguments[0] if arguments else ""
    if verb and not verb.startswith("-") and verb not in VERBS:
        meant = suggestion(verb, VERBS)
        fail(PROGRAM, f"there is no {PROGRAM} {verb}{meant} (see {PROGRAM} --help)")
    if verb in SHOWS:
        return _parse_show(verb, list(arguments[1:]))
    return _parse_up(list(arguments[1:] if verb in VERBS else arguments))


def _parse_show(verb: str, own: list[str]) -> LaunchOptions:
    """The flags of the launcher are its own; all other words are the show's, in their order."""
    parser = _parser(f"{PROGRAM} {verb}", page_of(command_of(verb)), "", "a new one")
    parsed, words = parser.parse_known_args(own)
    if parsed.restart:
        parser.error(f"{verb} starts nodes again itself: leave out --restart")
    show = (verb, *words)
    try:
        typed = read_line(shlex.join(show))
        assert typed is not None, "a show has a name"
        SHOWS[verb](typed[1])
        if verb == "tour" and not typed[1].options and not sys.stdin.isatty():
            raise LauncherError("there is no terminal for Enter: tour --yes goes on by itself")
    except LauncherError as error:
        fail(PROGRAM, f"{error} (see {PROGRAM} {verb} --help)")
    options = _options(parser, parsed)
    return options._replace(data_dir=parsed.data_dir, show=show)


def _parse_up(own: list[str]) -> LaunchOptions:
    command = None
    if "--" in own:
        at = own.index("--")
        own, command = own[:at], own[at + 1 :]
    parser = _parser()
    parsed, others = parser.parse_known_args(own)
    if others:
        parser.error(_unknown(others[0], parser))
    if command == []:
        parser.error("a command is expected after --")
    options = _options(parser, parsed)._replace(command=tuple(command or ()))
    if command is not None and parsed.data_dir is None:
        return options._replace(data_dir=None)
    return options


def _options(parser: FlagParser, parsed: argparse.Namespace) -> LaunchOptions:
    """The launcher's own flags."""
    if parsed.ephemeral and parsed.data_dir is not None:
        parser.error("--ephemeral and --data-dir exclude each other")
    if parsed.plain and parsed.json:
        parser.error("--plain and --json exclude each other")
    form: Form = "json" if parsed.json else "plain" if parsed.plain else "auto"
    return LaunchOptions(
        size=parsed.size,
        base_port=parsed.base_port,
        data_dir=None if parsed.ephemeral else parsed.data_dir or DATA_DIR,
        restart=parsed.restart,
        secure=parsed.secure,
        form=form,
        web=parsed.web is not None,
        web_port=parsed.web or None,
        node_flags=_node_flags(parsed.heartbeat_interval, parsed.election_timeout),
    )


def _parser(
    program: str = PROGRAM,
    description: str = DESCRIPTION,
    epilog: str = EPILOG,
    data_dir: str = DATA_DIR,
) -> FlagParser:
    parser = FlagParser(program, description, epilog)
    parser.add_argument(
        "-n", type=_size, metavar="N", dest="size", help=f"nodes, 1 to {SIZE_MAX} (default 3)"
    )
    parser.add_argument(
        "--base-port", type=_port, metavar="PORT", help=f"n1's client port (default {BASE_PORT})"
    )
    parser.add_argument("--data-dir", metavar="DIR", help=f"default {data_dir}")
    parser.add_argument("--ephemeral", action="store_true", help="delete the data at the end")
    parser.add_argument("--restart", action="store_true", help="start nodes again that die")
    parser.add_argument("--secure", action="store_true", help="keys, TLS and users for a new one")
    parser.add_argument("--plain", action="store_true", help="lines instead of a live table")
    parser.add_argument("--json", action="store_true", help="each happening as a line of JSON")
    parser.add_argument(
        "--web",
        type=_port,
        nargs="?",
        const=0,
        metavar="PORT",
        help=f"serve a page for a browser on this machine (port {WEB_PORT} or near it)",
    )
    for flag in ("heartbeat-interval", "election-timeout"):
        parser.add_argument(f"--{flag}", metavar="MS", help="as the node's flag")
    return parser


def _unknown(word: str, parser: FlagParser) -> str:
    """What is said of an argument that means nothing."""
    if not word.startswith("-"):
        return f"{word} is not expected here"
    flags = re.findall(r"--?[a-z][a-z-]*", parser.format_usage())
    return f"there is no flag {word}{suggestion(word, flags)}"


def _size(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= SIZE_MAX:
        raise argparse.ArgumentTypeError(f"{text}: a local cluster has 1 to {SIZE_MAX} nodes")
    return int(text)


def _port(text: str) -> int:
    # The port above it is needed, too.
    if not text.isdecimal() or not 1 <= int(text[:9]) < PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text}: a port is a number from 1 to {PORT_MAX - 1}")
    return int(text)


def _node_flags(heartbeat_interval: str | None, election_timeout: str | None) -> tuple[str, ...]:
    """The flags to pass on. They are checked here, so an error is not hidden in the nodes' logs."""
    given = {"heartbeat_interval": heartbeat_interval, "election_timeout": election_timeout}
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        resolve(NodeFlags(**chosen))
    except ConfigError as error:
        fail(PROGRAM, str(error), EXIT_USAGE)
    return tuple(f"--{name.replace('_', '-')}={value}" for name, value in chosen.items())
