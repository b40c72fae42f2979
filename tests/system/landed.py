"""The last landed version of this repository, and clusters whose nodes run it or the present one.

The landed version comes out of the repository's history, into a temporary directory, and runs in
this interpreter with the same libraries. `python -m tests.system.landed DIR --name n1 ...` is a
node of whichever version is chosen for that name in DIR just then.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

from cluster.launcher.local import LocalCluster

ROOT: Final = Path(__file__).resolve().parents[2]

LANDED: Final = "a6155121a122be18f983159e49a16dbd6aed373c"
"""The commit of the last landed version. Whoever makes a release names it here for the next one."""

NODE: Final = ("-P", "-m", "actors")


def take_landed(directory: Path) -> str:
    """Put the landed version into a directory; nothing, or why that cannot be done."""
    archive = ["git", "-C", str(ROOT), "archive", LANDED, "actors", "cluster"]
    try:
        packed = subprocess.run(archive, capture_output=True, check=False)
    except FileNotFoundError:
        return "there is no git here to take the landed version with"
    if packed.returncode:
        return f"commit {LANDED[:12]} is not in the history here: {packed.stderr.decode().strip()}"
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tar:
        tar.extractall(directory, filter="data")
    return ""


def home_of(version: Path) -> Path:
    """Where a node's code comes from if that version runs it."""
    program = "import actors; print(actors.__file__)"
    told = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": str(version)},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(told.stdout.strip()).resolve().parents[1]


class MixedCluster(LocalCluster):
    """Three nodes, each of the version that was chosen for it when it was started last."""

    def __init__(self, choices: Path, first: Path, node_flags: tuple[str, ...] = ()) -> None:
        super().__init__(
            node_flags=node_flags,
            command=(sys.executable, "-P", "-m", "tests.system.landed", str(choices)),
        )
        self._choices = choices
        for name in self.nodes:
            self.choose(name, first)

    def choose(self, name: str, version: Path) -> None:
        """Let this node be of that version from its next start on."""
        (self._choices / name).write_text(str(version))

    def change(self, name: str, version: Path) -> None:
        """Stop a node, and start it with its data as that version."""
        self.stop(name)
        self.choose(name, version)
        self.restart(name)
        assert self.version_of(name) == version, f"{name} runs another version"

    def version_of(self, name: str) -> Path:
        """Where the code of this node's process comes from."""
        environ = Path(f"/proc/{self.node(name).pid}/environ").read_bytes().split(b"\0")
        (found,) = [each for each in environ if each.startswith(b"PYTHONPATH=")]
        return Path(os.fsdecode(found.partition(b"=")[2]))


def main(choices: str, *flags: str) -> None:
    """Become the node."""
    name = next(flag.partition("=")[2] for flag in flags if flag.startswith("--name="))
    version = (Path(choices) / name).read_text()
    os.execve(
        sys.executable,
        [sys.executable, *NODE, *flags],
        {**os.environ, "PYTHONPATH": version},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
