"""The page in a real Chromium, with a story told to it: what it shows, and for whom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.launcher.story.happenings import LAUNCHER
from tests.launcher.chromium import IS_DRAWN, NARROW, WIDE, Chromium, axe_complaints
from tests.launcher.staging import Stage, play, row, view
from tests.limits import HANG_MS

pytestmark = pytest.mark.process

CANVAS_INK = """async () => {
    const { palette } = await import('./dom.js');
    const context = document.createElement('canvas').getContext('2d');
    context.fillStyle = palette().ink;
    return context.fillStyle;
}"""
"""The colour that a canvas makes of the page's ink."""


TAKEN_IN_TURNS = """async () => {
    const { Inbox } = await import('./inbox.js');
    const taken = [];
    const inbox = new Inbox((item) => {
        taken.push(item);
        const until = performance.now() + 2;
        while (performance.now() < until) { /* this is the work that an item takes */ }
    });
    for (let item = 0; item < 30; item += 1) inbox.add(item);
    inbox.work(performance.now() + 5);
    const isDone = taken.length === 30;
    inbox.work(Infinity);
    inbox.work(Infinity);
    return [isDone, taken.every((item, place) => item === place), taken.length];
}"""
"""Whether 60 ms of work were done in 5, whether it was done in order, and how much there was."""

ROWS_IN_TURNS = """async () => {
    const { Events } = await import('./events.js');
    const { Record } = await import('./record.js');
    const events = new Events(new Record(), () => {});
    events.rebuild();
    const time = new Date().toISOString();
    for (const at of [1, 2, 3]) events.add({ at, time, kind: 'fault', node: '', text: `e${at}` });
    const texts = document.querySelector('#events').getElementsByClassName('what');
    const rows = () => [...texts].map((one) => one.textContent);
    const clock = performance.now;
    let now = 0;
    performance.now = () => now++; // each look at the clock takes a millisecond
    const found = [0, 1, Infinity].map((turn) => {
        events.work(now + turn);
        return rows();
    });
    performance.now = clock;
    return found;
}"""
"""The rows after no time, after the time of one, and at the end."""

KEYS_CHANGE = """async () => {
    const { Keys } = await import('./keys.js');
    const fetched = window.fetch;
    let answer;
    window.fetch = () => new Promise((done) => { answer = done; });
    const keys = new Keys(() => {});
    const put = (key, value, revision, version) => ({
        type: 'PUT', key: btoa(key), value: btoa(value), bytes: value.length, revision, version,
    });
    keys.hear({ watching: 4, resumed: false });
    keys.hear({ events: [put('b', 'old', 4, 2), put('d', '1', 6, 1)], skipped: 0 });
    const read = [put('a', '1', 2, 1), put('b', '1', 3, 1), put('c', 'old', 5, 1)];
    answer(new Response(JSON.stringify({ revision: 5, count: 3, keys: read })));
    window.fetch = fetched;
    while (!keys.rows.size) {
        await new Promise((done) => setTimeout(done));
        keys.work(Infinity);
    }
    keys.hear({ events: [put('c', 'old', 7, 2), put('c', 'new', 8, 3)], skipped: 0 });
    const ended = { ...put('b', '', 9, 0), type: 'DELETE', reason: 'deleted' };
    keys.hear({ events: [ended], skipped: 0 });
    keys.work(Infinity);
    const cells = (row) => `${row.children[0].textContent} ${row.children[1].textContent}`;
    const rows = [...document.querySelectorAll('#keys tr:not(.gone)')].map(cells);
    return [...rows, document.querySelector('#keys-note').textContent];
}"""
"""The rows and the note after b and d came while a, b and c were read, c changed and b ended."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    play(stage, time.monotonic())
    yield stage
    stage.page.close()


def text(page: Any, selector: str, wanted: str) -> None:
    """Wait until the first such element has this text in it."""
    page.locator(selector, has_text=wanted).first.wait_for(state="visible", timeout=HANG_MS)


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light")])
def test_axe_finds_nothing_wrong(
    browser: Chromium, stage: Stage, size: tuple[int, int], scheme: str
) -> None:
    with browser.page(stage.page.url, size, scheme) as page:
        text(page, "h1", "n3 leads in term 3")
        text(page, "#failovers th", "kill n2")
        assert axe_complaints(page) == []
        page.get_by_role("button", name="To the fault before").click()
        page.locator("body[data-time='past']").wait_for()
        page.get_by_role("button", name="Wipe").click()
        text(page, "#sure", "Wipe n")
        assert axe_complaints(page) == []


def test_axe_would_find_a_button_without_a_name(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url) as page:
        text(page, "h1", "n3 leads in term 3")
        page.evaluate("document.querySelector('#play').textContent = ''")
        # The page writes that text only when it changes.
        assert any(line.startswith("button-name") for line in axe_complaints(page))


def test_a_narrow_page_does_not_scroll_sideways(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url, NARROW) as page:
        text(page, "h1", "n3 leads in term 3")
        root = "document.documentElement"
        assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")


def test_a_fail_over_is_shown_with_what_it_has_cost(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url) as page:
        row_of_it = page.locator("#failovers tr")
        row_of_it.wait_for()
        told = " | ".join(row_of_it.locator("th, td").all_inner_texts()[1:])
        assert told == (
            "kill n2 | n2 → n3 | 1.6 ms | 18 ms | 41 ms | 39 ms | 52 ms"
            " | 9 | 0 | 0 | 0 | linearizable | 12 kept"
        )


def test_the_page_goes_back_in_time_and_returns(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url) as page:
        text(page, "h1", "n3 leads in term 3")
        page.get_by_role("button", name="To the fault before").click()
        page.locator("body[data-time='past']").wait_for()
        page.locator("#scrubber").focus()
        page.keyboard.press("ArrowLeft")
        text(page, "h1", "n2 leads in term 2")
        page.locator(".node[data-node='n2'][data-state='leader']").wait_for()
        page.locator(".node[data-node='n2']").click()
        # Its buttons are for the node as it is now.
        page.locator("[data-verb='start']:not([aria-disabled])").wait_for()
        assert page.locator("[data-verb='kill'][aria-disabled]").count() == 1
        page.get_by_role("button", name="Live").click()
        text(page, "h1", "n3 leads in term 3")
        page.locator(".node[data-node='n2'][data-state='killed']").wait_for()


def test_slow_motion_leaves_the_present_and_plays_into_it_again(
    browser: Chromium, stage: Stage
) -> None:
    with browser.page(stage.page.url) as page:
        text(page, "h1", "n3 leads in term 3")
        page.locator("#pace").select_option("0.01")
        page.locator("body[data-time='past']").wait_for()
        assert page.get_by_role("button", name="Freeze").is_visible()
        page.get_by_role("button", name="Live").click()
        page.locator("body[data-time='live']").wait_for()
        assert page.locator("#pace").input_value() == "1"


def test_thousands_of_events_leave_a_small_document_and_the_newest_on_top(
    browser: Chromium, stage: Stage
) -> None:
    with browser.page(stage.page.url) as page:
        text(page, "#events li", "killed by SIGKILL")
        size = "document.querySelectorAll('*').length"
        before = page.evaluate(size)
        for number in range(3000):
            stage.journal.tell("fault", f"event {number}", what="slow", victims=["n1"])
        text(page, "#events li", "event 2999")
        page.locator("#events li").nth(199).wait_for(state="attached")
        assert page.locator("#events li").count() == 200
        assert "event 2999" in page.locator("#events li").first.inner_text()
        assert page.evaluate(size) < before + 1000


def test_what_comes_at_once_waits_for_the_next_frames(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url) as page:
        text(page, "h1", "n3 leads in term 3")
        assert page.evaluate(TAKEN_IN_TURNS) == [False, True, 30]


def test_rows_of_events_are_made_from_the_top_and_only_while_there_is_time(
    browser: Chromium, stage: Stage
) -> None:
    with browser.page(stage.page.url) as page:
        text(page, "#events li", "killed by SIGKILL")
        assert page.evaluate(ROWS_IN_TURNS) == [[], ["e3"], ["e3", "e2", "e1"]]


def test_keys_that_change_meanwhile_are_those_that_were_read_and_what_came_after(
    browser: Chromium, stage: Stage
) -> None:
    with browser.page(stage.page.url) as page:
        text(page, "h1", "n3 leads in term 3")
        rows = page.evaluate(KEYS_CHANGE)
        assert rows == ["a 1", "c new", "d 1", "3 keys"]


def test_what_comes_late_is_put_where_it_belongs(browser: Chromium, stage: Stage) -> None:
    now = time.monotonic()
    with browser.page(stage.page.url) as page:
        stage.tell(now - 2, "fault", LAUNCHER, "the later one", what="slow", victims=["n1"])
        text(page, "#events li", "the later one")
        stage.tell(now - 3, "fault", LAUNCHER, "the earlier one", what="slow", victims=["n1"])
        text(page, "#events li", "the earlier one")
        texts = page.locator("#events li").all_inner_texts()
        assert "the later one" in texts[0]
        assert "the earlier one" in texts[1]


def test_a_text_of_a_node_is_never_markup(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url) as page:
        bad = "<img src=x onerror=alert(1)><b>bold</b>"
        stage.journal.tell("fault", bad, what=bad, victims=[bad])
        stage.look(view(row("n1", state=bad)))
        text(page, "#events li", "<img src=x")
        text(page, ".node-role", "<img src=x")
        assert page.locator("main img").count() == 0


def test_a_page_that_loses_its_launcher_says_so_and_finds_the_next(
    browser: Chromium, stage: Stage, tmp_path: Path
) -> None:
    with browser.page(stage.page.url, loses=True) as page:
        text(page, "h1", "n3 leads in term 3")
        port = int(stage.page.url.split(":")[2].split("/")[0])
        stage.page.close()
        text(page, "#lost", "The launcher is gone")
        text(page, "h1", "n3 leads in term 3")
        following = Stage(tmp_path, port)
        following.look(view(row("n1", state="leader", term=9), leader="n1"))
        text(page, "h1", "n1 leads in term 9")
        text(page, "#connection", "connected")
        assert page.locator("#lost").is_hidden()
        assert page.locator("#events li").count() == 0
        following.page.close()
        text(page, "#lost", "The launcher is gone")
    stage.page = Stage(tmp_path).page  # for the fixture to close


def test_colours_are_chosen_and_kept(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url, scheme="light") as page:
        ground = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(ground)
        page.get_by_label("Colours").select_option("dark")
        assert page.evaluate(ground) != light
        page.reload()
        text(page, "h1", "n3 leads in term 3")
        assert page.get_by_label("Colours").input_value() == "dark"
        assert page.evaluate(ground) != light


def test_a_canvas_takes_the_colours_of_the_theme(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url, scheme="light") as page:
        inks = []
        for theme in ("system", "light", "dark"):
            page.get_by_label("Colours").select_option(theme)
            inks.append(page.evaluate(CANVAS_INK))
        assert inks == ["#1c2024", "#1c2024", "#e7eaec"]


def test_nothing_moves_for_those_who_want_no_movement(browser: Chromium, stage: Stage) -> None:
    for still in (False, True):
        with browser.page(stage.page.url, still=still) as page:
            text(page, "h1", "n3 leads in term 3")
            seen = [False]
            for _ in range(40):
                now = time.monotonic()
                for number in range(20):
                    what = {"to": "n1", "what": "append", "entries": 1}
                    stage.tell(now + number / 100, "message", "n3", "", **what)
                seen.append(page.evaluate(IS_DRAWN))
                if any(seen) and not still:
                    break
            assert any(seen) is not still


def test_the_keyboard_chooses_a_node_and_a_wrong_command_is_told(
    browser: Chromium, stage: Stage
) -> None:
    with browser.page(stage.page.url) as page:
        text(page, "#node-title", "Node n3")
        page.locator(".node[data-node='n1']").focus()
        page.keyboard.press("Enter")
        text(page, "#node-title", "Node n1")
        assert page.locator(".node[data-node='n1']").get_attribute("aria-pressed") == "true"
        page.get_by_label("Command").fill("kil n1")
        page.keyboard.press("Enter")
        deadline = time.monotonic() + HANG_MS / 1000
        while not stage.calls and time.monotonic() < deadline:
            stage.page.serve(set(stage.page.fds()), time.monotonic())
            page.wait_for_timeout(20)
        (call,) = stage.calls
        assert call.line == "kil n1"
        call.done('there is no command "kil" (did you mean kill?)')
        text(page, "#answer", "did you mean kill?")
        assert "did you mean kill?" in page.locator("#said").inner_text()


def test_the_leader_is_looked_at_until_the_user_chooses(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url) as page:
        text(page, "#node-title", "Node n3")
        stage.look(view(row("n1", state="leader", term=4), row("n3", term=4), leader="n1"))
        text(page, "#node-title", "Node n1")
        page.locator(".node[data-node='n3']").click()
        text(page, "#node-title", "Node n3")
        stage.look(view(row("n1", state="leader", term=5), row("n3", term=5), leader="n1"))
        text(page, "h1", "n1 leads in term 5")
        text(page, "#node-title", "Node n3")


def test_what_is_grave_is_asked_first(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url) as page:
        text(page, "#node-title", "Node n3")
        page.get_by_role("button", name="Remove").click()
        text(page, "#sure", "Remove n3 for good?")
        page.keyboard.press("Enter")  # the safe answer has the focus
        page.locator("#sure").wait_for(state="hidden")
        stage.page.serve(set(stage.page.fds()), time.monotonic())
        assert stage.calls == []
