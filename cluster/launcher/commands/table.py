"""The table of commands: the one place where their names, usages, help and work are.

The prompt, other terminals, the page and the help texts are made from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from cluster.launcher.commands import keys, links, looking, members, nodes, shows
from cluster.launcher.commands.desk import Desk
from cluster.launcher.commands.parsing import Option, Words, number, read_words, split
from cluster.launcher.errands.errand import Errand
from cluster.launcher.naming import (
    ENDED,
    LEARNERS,
    MEMBERS,
    MOVING,
    PAUSED,
    RUNNING,
    Fit,
    suggestion,
)
from cluster.launcher.nodes.layout import GROUPS, LauncherError
from cluster.launcher.shows import chaos, tour
from cluster.launcher.shows.load import EXAMPLE

Run = Callable[[Desk, Words], Errand[Any] | None]


class PromptCommand(NamedTuple):
    """One command. `run` does it at once, or returns an errand that does it.

    `fit`: which nodes it takes, if it takes any. `words`: other words that it takes. A command that
    `changes` something is told in the journal.
    """

    name: str
    usage: str
    help: str
    run: Run
    options: tuple[Option, ...] = ()
    fit: Fit | None = None
    words: tuple[str, ...] = ()
    changes: bool = True


LEARNER: Final = Option("--learner", "a member without a vote, until it is promoted")
PREFIX: Final = Option("--prefix", "all keys that begin with this")
LINES: Final = Option("-n", "how many lines, 20 by default", number)
FOLLOW: Final = Option("-f", "go on with new lines, until Ctrl-C")
JSON: Final = Option("--json", "as one JSON document")
HTML: Final = Option("--html", "the file to write", str)
OFF: Final = Option("--off", "end all watches of this prompt")


def _help(desk: Desk, words: Words) -> None:
    """Say what commands there are, or all about one of them."""
    if words.plain:
        desk.say(page_of(command_of(words.plain[0])))
        return
    width = max(len(command.usage) for command in COMMANDS)
    lines = [f"{command.usage:<{width}}  {command.help}" for command in COMMANDS]
    names = f"NODE is a node's name in any case, or {', '.join(GROUPS)}; several may be named."
    desk.say("\n".join([*lines, "", names, "More about one of them: help kill"]))


def page_of(command: PromptCommand) -> str:
    """All about one command."""
    options = [
        f"  {option.name + (' VALUE' if option.read else ''):<16}  {option.help}"
        for option in command.options
    ]
    return "\n".join([command.usage, f"  {command.help}", *options])


COMMANDS: Final[tuple[PromptCommand, ...]] = (
    PromptCommand("ls", "ls", "the nodes, one a line", looking.ls, changes=False),
    PromptCommand("status", "status", "the cluster in one line", looking.status, changes=False),
    PromptCommand(
        "logs",
        "logs NODE",
        "the newest lines of a node's log",
        looking.logs,
        (LINES, FOLLOW),
        MEMBERS,
        changes=False,
    ),
    PromptCommand(
        "kill", "kill NODE...", "end a node at once, as kill -9 does", nodes.kill, (), RUNNING
    ),
    PromptCommand(
        "stop",
        "stop NODE...",
        "end a node gracefully: a leader hands over first",
        nodes.stop,
        (),
        RUNNING,
    ),
    PromptCommand("start", "start NODE...", "start a node that has ended", nodes.start, (), ENDED),
    PromptCommand(
        "restart",
        "restart NODE...",
        "stop a node if it runs, and start it",
        nodes.restart,
        (),
        MEMBERS,
    ),
    PromptCommand(
        "pause", "pause NODE...", "let a node hang, as kill -STOP does", nodes.pause, (), MOVING
    ),
    PromptCommand("resume", "resume NODE...", "let a paused node go on", nodes.resume, (), PAUSED),
    PromptCommand(
        "isolate",
        "isolate NODE... [in|out]",
        "cut a node off from the others; in: it hears nobody, out: nobody hears it",
        links.isolate,
        (),
        MEMBERS,
        words=("in", "out"),
    ),
    PromptCommand(
        "partition",
        "partition NODES | NODES",
        "cut groups of nodes off from each other; one group alone: from the rest",
        links.partition,
        (),
        MEMBERS,
        words=("|",),
    ),
    PromptCommand(
        "slow",
        "slow NODE... DELAY [JITTER]",
        "delay each message of a node, by 50ms or by 50 to 60: 50ms 10ms",
        links.slow,
        (),
        MEMBERS,
    ),
    PromptCommand(
        "lossy", "lossy NODE... SHARE", "lose 5% of a node's messages", links.lossy, (), MEMBERS
    ),
    PromptCommand(
        "heal",
        "heal [NODE...]",
        "make the links of a node whole again, or all links",
        links.heal,
        (),
        MEMBERS,
    ),
    PromptCommand(
        "transfer",
        "transfer [NODE]",
        "let it lead; by default the voter with the newest data",
        members.transfer,
        (),
        RUNNING,
    ),
    PromptCommand(
        "add",
        "add [NAME] [--learner]",
        "add a new node to the cluster",
        members.add,
        (LEARNER,),
        words=("learner",),
    ),
    PromptCommand(
        "promote",
        "promote NODE",
        "make a learner that has caught up a voter",
        members.promote,
        (),
        LEARNERS,
    ),
    PromptCommand(
        "remove",
        "remove NODE",
        "remove a node from the cluster for good",
        members.remove,
        (),
        MEMBERS,
    ),
    PromptCommand(
        "scale",
        "scale SIZE",
        "add or remove nodes, one at a time, until there are so many voters",
        members.scale,
    ),
    PromptCommand(
        "wipe",
        "wipe NODE",
        "delete a node's data: it joins again as a new member",
        members.wipe,
        (),
        MEMBERS,
    ),
    PromptCommand("put", "put KEY VALUE", "write a key", keys.put),
    PromptCommand("get", "get KEY", "read a key", keys.get, (PREFIX,), changes=False),
    PromptCommand("del", "del KEY", "delete a key", keys.delete, (PREFIX,)),
    PromptCommand(
        "watch",
        "watch KEY",
        "show each change of a key from now on",
        keys.watch,
        (PREFIX, OFF),
        changes=False,
    ),
    PromptCommand("load", "load [MIX | off]", f"requests beside all, as {EXAMPLE}", shows.load),
    PromptCommand(
        "tour", "tour [STEP... | next | stop]", "see what a cluster does", tour.begin, tour.OPTIONS
    ),
    PromptCommand(
        "chaos", "chaos [stop]", "faults at random, and a verdict", chaos.begin, chaos.OPTIONS
    ),
    PromptCommand(
        "report",
        "report [--json | --html FILE]",
        "what fail-overs have cost, or a page of all that happened",
        shows.report,
        (JSON, HTML),
        changes=False,
    ),
    PromptCommand("help", "help [COMMAND]", "what there is to type", _help, changes=False),
    PromptCommand("clear", "clear", "empty the screen", looking.clear, changes=False),
    PromptCommand("quit", "quit", "stop everything, as Ctrl-C does", looking.leave),
)

ALIASES: Final = {"exit": "quit", "?": "help", "unpause": "resume", "delete": "del"}
"""Other names that people try."""

_BY_NAME: Final = {command.name: command for command in COMMANDS}


def command_of(word: str) -> PromptCommand:
    """The command of this name, in any case of letters."""
    name = word.casefold()
    command = _BY_NAME.get(ALIASES.get(name, name))
    if command is None:
        meant = suggestion(word, _BY_NAME)
        raise LauncherError(f'there is no command "{word}"{meant}; help lists them')
    return command


def read_line(line: str) -> tuple[PromptCommand, Words] | None:
    """The command and the words of a line; None for an empty one. LauncherError if it is wrong."""
    typed = split(line)
    if not typed:
        return None
    command = command_of(typed[0])
    return command, read_words(command.name, typed[1:], command.options)
