"""The README's programs run as they are printed; its picture and reading path are of the code."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from actors.language import messages
from cluster.launcher.local import LocalCluster
from tests.limits import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / ".github" / "ring.svg"
README = (ROOT / "README.md").read_text(encoding="utf-8")

PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
OUTPUTS = ("", "DELETE b'/users/user2'\n", "b'hello'\n")
ADDRESSES = ("127.0.0.1:2379", "127.0.0.1:22379", "127.0.0.1:32379")
"""Where the README's cluster is."""

WORDS_MAX = 1_650
PATH_LINES = range(900, 1_101)
DRIFT_LINES_MAX = 10
"""A row of the path may be wrong by this: a small edit need not touch the README."""


@pytest.mark.parametrize(("program", "output"), list(zip(PROGRAMS, OUTPUTS, strict=True)))
def test_a_program_of_the_readme_prints_what_it_should(
    tmp_path: Path, program: str, output: str
) -> None:
    with LocalCluster(size=3, data_dir=tmp_path) as cluster:
        here = dict(zip(ADDRESSES, cluster.endpoints, strict=True))
        ended = subprocess.run(
            [sys.executable, "-c", re.sub(r"[\d.]+:\d+", lambda found: here[found[0]], program)],
            check=True,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert ended.stdout == output


def path_rows() -> list[tuple[Path, list[str], int]]:
    """Each row of the reading path: a file, names in it, and their lines in all."""
    row = r"^\| \[`[^`]+`\]\(([^)]+\.py)\):([^|]*)\|[^|]*\| (\d+) \|$"
    return [
        (ROOT / file, re.findall(r"`(\w+)`", names), int(lines))
        for file, names, lines in re.findall(row, README, re.MULTILINE)
    ]


def lines_of(file: Path, name: str, *methods: str) -> int:
    """The lines of a class or function; with methods, theirs."""
    whole = definition(file, ast.parse(file.read_text(encoding="utf-8")), name)
    read = [definition(file, whole, each) for each in methods] or [whole]
    return sum((each.end_lineno or 0) - each.lineno + 1 for each in read)


def definition(file: Path, within: ast.AST, name: str) -> ast.ClassDef | ast.FunctionDef:
    """The class or function of that name."""
    for node in ast.iter_child_nodes(within):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
    raise AssertionError(f"the README's reading path names {name}, which {file.name} has not")


def test_the_reading_path_is_as_long_as_it_says() -> None:
    rows = path_rows()
    said = sum(lines for *_, lines in rows)
    for file, names, lines in rows:
        counted = lines_of(file, *names)
        assert abs(counted - lines) <= DRIFT_LINES_MAX, f"{file.name}: {counted} lines"
    assert f"| {said:,} |" in README, f"the path has {said:,} lines"
    assert said in PATH_LINES


def test_the_picture_names_messages_that_there_are() -> None:
    labels = re.findall(r'class="label[^"]*"[^>]*>([^<]+)<', PICTURE.read_text(encoding="utf-8"))
    named = {word for label in labels for word in re.findall(r"\b[A-Z][a-z]\w*", label)}
    assert {"Propose", "Apply", "Replies"} <= named
    assert [name for name in named if not hasattr(messages, name)] == []


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= WORDS_MAX
