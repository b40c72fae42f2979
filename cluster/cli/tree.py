"""`get --tree`: keys as the branches of a tree, by the slashes in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cluster.cli.quoting import quoted

SLASH = b"/"

Folder = dict[bytes, "Folder"]
"""What is below one slash: names of folders, which end with a slash, and of keys."""


def tree(keys: Iterable[bytes]) -> Iterator[str]:
    """The lines of the tree, in the order of the keys. A folder that is alone shares a line."""
    root: Folder = {}
    for key in keys:
        *parts, name = key.split(SLASH)
        inside = root
        for part in parts:
            inside = inside.setdefault(part + SLASH, {})
        inside[name] = {}
    # A stack, since keys may have thousands of slashes. What stands before a name, before the
    # names below it, the name, and what is below.
    todo = [("", "", name, root[name]) for name in reversed(root)]
    while todo:
        before, below, name, folder = todo.pop()
        while len(folder) == 1 and (only := next(iter(folder))).endswith(SLASH):
            name, folder = name + only, folder[only]
        yield before + (quoted(name)[1:-1] or '""')
        branches = [("├── ", "│   ")] * (len(folder) - 1) + [("└── ", "    ")]
        todo += [
            (below + branch, below + trunk, inner, folder[inner])
            for inner, (branch, trunk) in reversed(list(zip(folder, branches, strict=False)))
        ]
