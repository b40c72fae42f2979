"""Each planted bug of the core is shown by a small world, or it is said why none shows it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.mutants.planting import PLANTED
from tests.spec import __main__ as command
from tests.spec.bugs import NOT_SHOWN, SHOWN
from tests.spec.worlds import WORLDS

README: Final = Path(__file__).parents[1] / "README.md"
NOT_THE_CORE: Final = ("actor", "admission", "codec", "disk")
"""What of actors/raft does not belong to the core: its actor, and what lies around it."""


def of_the_core() -> dict[tuple[str, ...], int]:
    """All functions, constants and methods of the core by their names, each by its identity."""
    found: dict[tuple[str, ...], int] = {}
    for name, module in sys.modules.items():
        if not name.startswith("actors.raft.") or name.split(".")[2] in NOT_THE_CORE:
            continue
        for key, value in vars(module).items():
            found[name, key] = id(value)
            if isinstance(value, type) and value.__module__ == name:
                found |= {(name, key, each): id(it) for each, it in vars(value).items()}
    return found


def test_every_planted_bug_of_the_core_is_shown_by_a_world_or_has_a_reason() -> None:
    before, bugs = of_the_core(), []
    for name, plant in PLANTED.items():
        with plant():
            bugs += [name] if of_the_core() != before else []
    assert sorted(bugs) == sorted([*SHOWN, *NOT_SHOWN])
    assert all(shown.world in WORLDS for shown in SHOWN.values())


def rows(title: str) -> Iterator[list[str]]:
    """The rows of the table of the page that begins with this title."""
    lines = iter(README.read_text().splitlines())
    assert any(line.startswith(f"| {title} |") for line in lines), title
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_names_the_worlds_that_there_are() -> None:
    assert sorted(name for name, *_ in rows("world")) == sorted(WORLDS)


def test_the_page_says_of_each_bug_in_which_world_it_shows() -> None:
    told = [(bug.replace(" ", "_"), world, int(steps)) for bug, world, steps, *_ in rows("bug")]
    assert told == [(name, *shown) for name, shown in SHOWN.items()]


def test_the_page_says_of_each_other_bug_why_no_world_shows_it() -> None:
    told = {bug.replace(" ", "_"): why for bug, why in rows("bug that none shows")}
    assert told == NOT_SHOWN


def test_an_unknown_bug_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["bugs", "none"]) == 2
    said = capsys.readouterr().err
    assert "'none'" in said and all(name in said for name in (*SHOWN, *NOT_SHOWN))
    assert command.main(["check", "pair", "--bug", "none"]) == 2
    assert "vote_not_saved" in capsys.readouterr().err
