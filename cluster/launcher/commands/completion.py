"""What can stand in the place of the word that is being typed: for the Tab key."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.launcher.commands.table import COMMANDS, PromptCommand, command_of
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.layout import GROUPS, LauncherError


def complete(cluster: LocalCluster, text: str) -> Sequence[str]:
    """All words that may stand in the place of the last word of `text`, the text before the cursor.

    Commands first; then what the command takes: nodes that are fit for it, its words, its options.
    """
    *before, last = text.split(" ")
    words = [word for word in before if word]
    if not words:
        found = [command.name for command in COMMANDS]
    else:
        try:
            found = _taken(cluster, command_of(words[0]), words[1:], last)
        except LauncherError:
            found = []  # there is no such command, so nothing to add to it
    return [word for word in found if word.casefold().startswith(last.casefold())]


def _taken(
    cluster: LocalCluster, command: PromptCommand, before: Sequence[str], last: str
) -> list[str]:
    if command.name == "help":
        return [other.name for other in COMMANDS]
    if last.startswith("-"):
        return [option.name for option in command.options if option.name not in before]
    found = [*command.words]
    fit = command.fit
    if fit is not None:
        names = [node.name for node in cluster.nodes.values() if fit.holds(node)]
        found += [*names, *GROUPS] if names else []
    return [word for word in found if word not in before]
