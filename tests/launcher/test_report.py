"""What is made of a journal: spans of roles, the page of the report, and the recording."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.report import html, plots, reading, recording, spans, svg
from cluster.launcher.report.__main__ import main
from cluster.launcher.report.plots import POINTS_MAX, FaultMark, Point, Window
from cluster.launcher.report.quantiles import percentile
from cluster.launcher.story.happenings import Happening
from cluster.launcher.story.journal import Journal
from tests.launcher.session import BEGAN, happening, killed, started, whole

pytestmark = pytest.mark.quick
SVG = "http://www.w3.org/2000/svg"
HOSTILE = "</script><script>alert('&\x00')</script>\u202e\ud800 \"x\" ]]>"


# --- spans ------------------------------------------------------------------------------------


def roles(happenings: list[Happening], node: str) -> list[tuple[str, int]]:
    """The roles of a node, one after another, each with its term."""
    return [(span.role, span.term) for span in spans.of_nodes(happenings)[node]]


def test_a_node_has_the_roles_that_it_told_and_the_deaths_that_the_launcher_saw() -> None:
    assert roles([*started(), *killed()], "n2") == [
        ("starting", 0),
        ("follower", 1),
        ("candidate", 2),
        ("leader", 2),
        ("killed", 2),
        ("starting", 2),
        ("follower", 3),
    ]


def test_a_line_of_a_node_that_is_read_after_the_news_of_its_death_changes_nothing() -> None:
    late = happening(4.5, "role", "", "n2", role="leader", term=2)
    assert roles([*started(), *killed()[:2], late], "n2")[-1] == ("killed", 2)


def test_a_learner_that_follows_stays_a_learner_until_it_says_otherwise() -> None:
    told = [
        happening(1, "role", "", "n4", role="learner", term=2),
        happening(2, "follows", "", "n4", leader="n1", term=3),
        happening(3, "role", "", "n4", role="follower", term=3),
        happening(4, "stopped"),
    ]
    assert roles(told, "n4") == [("learner", 2), ("learner", 3), ("follower", 3)]


def test_a_paused_node_is_again_what_it_was() -> None:
    told = roles(whole(), "n1")
    assert told[-3:] == [("follower", 3), ("paused", 3), ("follower", 3)]


def test_spans_follow_one_another_without_a_gap() -> None:
    for row in spans.of_nodes(whole()).values():
        assert [span.ended for span in row[:-1]] == [span.began for span in row[1:]]
        assert row[-1].ended == BEGAN + 12


def test_the_cluster_has_no_leader_between_two() -> None:
    told = [(span.role, span.term) for span in spans.of_leaders(whole())]
    assert told == [("n2", 2), ("no leader", 2), ("n3", 3)]


# --- shapes -----------------------------------------------------------------------------------


def test_words_are_escaped_and_what_no_xml_may_have_is_replaced() -> None:
    made = svg.element("text", svg.text(HOSTILE), class_=HOSTILE)
    element = ElementTree.fromstring(made)
    expected = HOSTILE.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert (element.text, element.get("class")) == (expected, expected)


@pytest.mark.parametrize("seconds", [0.1, 0.35, 3, 59, 61, 1_000, 86_400, 10**6])
def test_an_axis_of_time_has_a_few_marks_and_none_beyond_its_end(seconds: float) -> None:
    marks = svg.time_marks(seconds)
    assert marks[0] == 0 and 1 <= len(marks) <= 11 and marks[-1] <= seconds


def test_an_axis_by_decades_has_all_values_inside() -> None:
    low, high = svg.decades([0.3, 20])
    scale = svg.Axis(low, high, 100, 0, by_decades=True)
    assert (low, high) == pytest.approx((0.1, 100))
    assert scale.at(0.01) == 100 and scale.at(1_000) == 0
    assert scale.at(1) == pytest.approx(100 * 2 / 3)


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, percent) for percent in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7.0], 99) == 7


def test_of_many_points_the_slowest_and_all_failed_ones_are_drawn() -> None:
    window = Window(BEGAN, BEGAN + 100)
    many = [Point(BEGAN + number / 1_000, "write", 1.0) for number in range(99_000)]
    many[50_123] = many[50_123]._replace(ms=345.0)
    many[70_001] = many[70_001]._replace(ok=False)
    drawn = ElementTree.fromstring(plots.scatter(many, [], window))
    names = [element.tag.rpartition("}")[2] for element in drawn]
    assert names.count("circle") <= POINTS_MAX and names.count("path") == 1
    labels = [element.text for element in drawn if element.tag.endswith("text")]
    assert "1,000 ms" in labels


def test_a_fault_has_as_many_words_as_there_is_room_for() -> None:
    places = ((1.0, "#1"), (5.0, "#2"), (5.9, "#3"), (5.91, "#4"))
    faults = [FaultMark(BEGAN + at, name, "n1 was killed") for at, name in places]
    drawn = ElementTree.fromstring(plots.scatter([], faults, Window(BEGAN, BEGAN + 10)))
    words = [e.text for e in drawn.iter() if e.get("class") == "fault-text"]
    assert words == ["#1 n1 was killed", "#2 n1 was\N{HORIZONTAL ELLIPSIS}", "#4 n1 was killed"]


def test_names_of_faults_do_not_overlap() -> None:
    faults = [FaultMark(BEGAN + number**2 / 90, f"#{number}", "kill n1") for number in range(30)]
    drawn = ElementTree.fromstring(plots.scatter([], faults, Window(BEGAN, BEGAN + 10)))
    words = [e for e in drawn.iter() if e.get("class") == "fault-text"]
    ends = [(float(e.get("x", 0)), len(e.text or "") * plots.LETTER) for e in words]
    assert 3 < len(ends) < len(faults)
    assert all(x + width <= y for (x, width), (y, _) in pairwise(ends))


# --- events -----------------------------------------------------------------------------------


def file_of(path: Path, happenings: list[Happening]) -> Path:
    """A file of events, as a journal writes it."""
    journal = Journal(path)
    for each in happenings:
        journal.add(each)
    journal.close()
    return path


def test_events_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    told = [*started(), *killed()]
    read = reading.read(file_of(tmp_path / "events.jsonl", told))
    assert [each.document() for each in read] == [
        json.loads(json.dumps(each.document())) for each in told
    ]
    found = reading.failovers(read)
    assert [(each.number, each.leader_after, each.votes) for each in found] == [(1, "n3", ("n1",))]


def test_of_a_file_with_several_sessions_the_last_one_counts() -> None:
    stopped = happening(20, "stopped", "the cluster has stopped")
    second = [each._replace(at=each.at + 100) for each in [*started(), *killed()]]
    for first in ([*whole(), stopped], [*started(), *killed()], whole()):
        assert reading.last_session([*first, *second]) == second
        assert reading.last_session(first) == first
    earlier = [each._replace(at=each.at - 900) for each in second]
    assert reading.last_session([*started(), *earlier]) == earlier


def test_a_fail_over_that_is_told_again_counts_once() -> None:
    told = killed()
    again = next(each for each in told if each.kind == "failover")
    later = again._replace(fields={**again.fields, "lost": 2})
    assert [each.lost for each in reading.failovers([*told, later])] == [2]


def test_a_last_line_that_is_cut_off_is_left_out_and_any_other_is_named(tmp_path: Path) -> None:
    path = file_of(tmp_path / "events.jsonl", started())
    whole_file = path.read_bytes()
    path.write_bytes(whole_file[:-30])
    assert len(reading.read(path)) == len(started()) - 1
    path.write_bytes(b'{"kind": "answer", "text": "OK"}\n' + whole_file)
    assert len(reading.read(path)) == len(started())
    path.write_bytes(b'{"time": 1}\n' + whole_file)
    with pytest.raises(LauncherError, match=r"events.jsonl, line 1: not an event of run_cluster"):
        reading.read(path)


# --- the page ---------------------------------------------------------------------------------


class Page(HTMLParser):
    """Collects the elements and the words of a page, and complains of one that is not closed."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.open: list[str] = []
        self.feed(words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_says_what_happened_and_needs_nothing_beside_it() -> None:
    made = Page(html.page(whole()))
    assert made.open == [] and made.names.count("svg") > 2
    for words in (
        "kill n2",
        "21.5",
        "n2 \N{RIGHTWARDS ARROW} n3",
        "n3 by connection",
        "p99",
        "yes",
    ):
        assert words in made.words
    assert not {"script", "link", "img", "iframe"} & set(made.names)
    assert not {"src", "href", "onclick"} & {name for name, _ in made.attributes}
    assert "prefers-color-scheme: dark" in made.words


def test_words_of_others_are_words_in_the_page() -> None:
    fields: dict[str, Any] = {
        "number": 1,
        "cause": HOSTILE,
        "began_at": BEGAN,
        "leader_before": HOSTILE,
    }
    told = [
        happening(0, "role", HOSTILE, HOSTILE, role=HOSTILE, term=1),
        happening(1, "failover", HOSTILE, **fields),
        happening(2, "verdict", HOSTILE, passed=False),
    ]
    made = Page(html.page(told))
    assert "script" not in made.names and made.open == []


def test_a_lost_write_is_seen() -> None:
    told = killed()
    at = next(number for number, each in enumerate(told) if each.kind == "failover")
    told[at] = told[at]._replace(fields={**told[at].fields, "lost": 7, "linearizable": False})
    assert '<b class="bad">7</b>' in html.page(told)
    assert '<b class="bad">no</b>' in html.page(told)


def test_a_page_of_a_session_without_a_fault_and_of_none_at_all() -> None:
    assert "none" in Page(html.page(started())).words
    with pytest.raises(LauncherError, match="nothing has happened yet"):
        html.page([])


# --- the recording ----------------------------------------------------------------------------


def test_a_recording_shows_each_line_and_each_state_and_fits_a_readme() -> None:
    made = recording.picture(whole())
    words = ["".join(each.itertext()) for each in ElementTree.fromstring(made).iter()]
    assert "leasehold> kill leader" in words
    assert "n2 (leader, pid 101) was killed by SIGKILL" in words
    assert "\N{BLACK STAR} n3 leader 3" in words and "\N{MULTIPLICATION SIGN} n2 killed" in words
    animated = re.findall(r"animation:(a\d+) ", made)
    assert len(animated) > 10 and sorted(animated) == sorted(
        re.findall(r"@keyframes (a\d+)\{", made)
    )
    assert len(made) < 40_000
    assert "<script" not in made and "prefers-color-scheme: dark" in made


def test_lines_of_a_recording_appear_in_order_and_long_pauses_are_short() -> None:
    told = [happening(0, "ready", "ready"), happening(3_600, "stopped", "stopped")]
    made = recording.picture(told)
    seconds = float(re.findall(r"a0 ([\d.]+)s", made)[0])
    assert seconds < 10
    steps = [float(at) for at in re.findall(r"([\d.]+)%\{transform:translateY\(\d", made)]
    assert steps == sorted(steps)


def test_a_recording_that_is_too_long_shows_its_end_and_hostile_words_are_words() -> None:
    told = [happening(number, "narrated", f"{number} {HOSTILE}" * 9) for number in range(5_000)]
    made = recording.picture(told)
    elements = ElementTree.fromstring(made).iter(f"{{{SVG}}}text")
    words = ["".join(each.itertext()) for each in elements]
    assert len(made.encode()) < recording.BYTES_MAX
    assert any(each.startswith("4999 ") for each in words)
    assert max(map(len, words)) <= recording.COLUMNS + len(recording.PROMPT)


def test_a_recording_of_nothing_is_refused() -> None:
    with pytest.raises(LauncherError, match="no event has a line to show"):
        recording.picture([happening(1, "probe", "")])


def test_the_command_makes_both_and_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = file_of(tmp_path / "events.jsonl", whole())
    for name, opening in (("a.svg", "<svg"), ("a.html", "<!doctype html>")):
        assert main([str(events), str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text().startswith(opening)
    assert main([str(tmp_path / "none"), str(tmp_path / "b.svg")]) == 1
    with pytest.raises(SystemExit):
        main([str(events), str(tmp_path / "b.png")])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("none: No such file or directory")
    assert "a name that ends with .svg or .html is expected" in lines[1]
