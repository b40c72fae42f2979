"""A typed line: its words, its options, what completes it, and what is said when it is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.launcher.commands.completion import complete
from cluster.launcher.commands.parsing import (
    LINE_CHARACTERS_MAX,
    Option,
    milliseconds,
    read_words,
    seconds,
    share,
    split,
)
from cluster.launcher.commands.table import COMMANDS, command_of, read_line
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.ports import ports_given_away

OPTIONS = (
    Option("--delay", "how long", milliseconds),
    Option("--prefix", "all of them"),
    Option("-n", "how many", int),
)


def refusal(*words: str) -> str:
    with pytest.raises(LauncherError) as caught:
        read_words("slow", words, OPTIONS)
    return str(caught.value)


def test_options_stand_anywhere_and_take_their_value_in_two_ways() -> None:
    words = read_words("slow", ["n1", "--delay=50ms", "-n", "3", "n2", "--prefix"], OPTIONS)
    assert words.plain == ("n1", "n2")
    assert words.options == {"delay": 50, "n": 3, "prefix": True}
    assert words.typed == ("n1", "--delay=50ms", "-n", "3", "n2", "--prefix")


def test_after_two_dashes_and_before_digits_nothing_is_an_option() -> None:
    words = read_words("put", ["-5", "--", "--prefix", "-x"], OPTIONS)
    assert (words.plain, words.options) == (("-5", "--prefix", "-x"), {})


def test_wrong_options_are_answered_precisely() -> None:
    known = "it has --delay, --prefix, -n"
    assert refusal("--dely", "5") == f"slow has no option --dely (did you mean --delay?); {known}"
    assert refusal("--prefix=yes") == "slow: --prefix takes no value"
    assert refusal("n1", "--delay") == "slow: --delay needs a value: how long"
    assert refusal("--delay", "soon") == (
        "slow: --delay soon: a duration is expected, for example 50ms, 2s or 1m"
    )


@pytest.mark.parametrize(
    ("text", "ms"), [("50ms", 50), ("50", 50), ("1.5s", 1_500), ("2m", 120_000), ("1h", 3_600_000)]
)
def test_a_duration_has_its_unit_or_the_usual_one(text: str, ms: float) -> None:
    assert milliseconds(text) == pytest.approx(ms)
    if not text.isdecimal():
        assert seconds(text) == pytest.approx(ms / 1000)


@pytest.mark.parametrize("text", ["", "-1s", "1e9", "nan", "5 s", "101%", "1.1", "x%"])
def test_what_is_no_duration_and_no_share_is_refused(text: str) -> None:
    if not text.startswith("1"):
        with pytest.raises(ValueError, match="a duration is expected"):
            milliseconds(text)
    with pytest.raises(ValueError, match="a share is expected"):
        share(text)


def test_a_share_is_a_number_or_a_percentage() -> None:
    assert (share("5%"), share("0.05"), share("1"), share("0")) == (0.05, 0.05, 1, 0)


def test_quotes_keep_words_together() -> None:
    assert split("put 'a key' \"a value\"") == ["put", "a key", "a value"]
    for wrong, answer in (("put 'a", "a quote is open"), ("x" * 70_000, "a line has at most")):
        with pytest.raises(LauncherError, match=answer):
            split(wrong)
    assert LINE_CHARACTERS_MAX < 70_000


def test_commands_are_found_in_any_case_and_by_what_people_try() -> None:
    assert command_of("KILL").name == "kill"
    assert [command_of(word).name for word in ("exit", "?", "delete")] == ["quit", "help", "del"]
    assert read_line("  ") is None
    with pytest.raises(LauncherError, match=r'there is no command "kil" \(did you mean kill\?\)'):
        read_line("kil n1")


def test_the_table_is_whole() -> None:
    names = [command.name for command in COMMANDS]
    assert len(names) == len(set(names))
    wanted = (
        "ls status logs kill stop start restart pause resume transfer add promote remove scale wipe"
        " put get del watch help clear quit"
    )
    assert set(wanted.split()) <= set(names)
    for command in COMMANDS:
        assert command.usage.startswith(command.name)
        assert command.help and not command.help.endswith(".")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes of which none was started."""
    made = LocalCluster(3, tmp_path)
    yield made
    made.close()


def test_ports_that_the_kernel_gives_away_are_pointed_out(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    assert cluster.notes_on_ports() == []
    port = ports_given_away().start
    risky = LocalCluster(1, tmp_path / "risky", base_port=port)
    (note,) = risky.notes_on_ports()
    assert note.startswith(f"port {port} is one of {port} to ")
    risky.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ki", ["kill"]),
        ("st", ["status", "stop", "start"]),
        ("start ", ["n1", "n2", "n3", "leader", "follower", "random", "all"]),
        ("start N", ["n1", "n2", "n3"]),
        ("start n1 n", ["n2", "n3"]),
        ("kill ", []),
        ("add --", ["--learner"]),
        ("add l", ["learner"]),
        ("logs n1 -", ["-n", "-f"]),
        ("logs n1 -f -", ["-n"]),
        ("help sc", ["scale"]),
        ("dance n", []),
        ("status ", []),
    ],
)
def test_the_last_word_is_completed(cluster: LocalCluster, text: str, found: list[str]) -> None:
    assert list(complete(cluster, text)) == found
