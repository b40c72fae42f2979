"""The page for those who listen to it and who have no mouse, in a real Chromium.

No screen reader is at hand: what one is given is the browser's own tree of names and roles, and
what becomes of the page's live regions.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cluster.launcher.story.happenings import LAUNCHER
from tests.launcher.chromium import Chromium
from tests.launcher.staging import Stage, play, row, view
from tests.limits import HANG_MS

pytestmark = pytest.mark.process

CONTROLS = {"button", "checkbox", "combobox", "link", "slider", "spinbutton", "textbox"}
NAMED = CONTROLS | {"dialog", "form", "group", "image", "list", "region", "table"}

SPEECH_MS = 3900
"""The page reads events out at most once in this time; it counts from a little before."""

HEARD = """() => {
    const region = document.querySelector('#said');
    window.heard = [];
    const note = () => window.heard.push([performance.now(), region.textContent]);
    new MutationObserver(note).observe(region, { childList: true });
}"""
"""Notes all that the page reads out from now on."""

TO_REACH = """() => [...document.querySelectorAll('a, button, input, select, [tabindex="0"]')]
    .filter((one) => one.checkVisibility() && !one.disabled).length"""
"""How many elements the Tab key ought to reach."""

MARK_FOCUSED = """() => {
    document.activeElement.dataset.reached = '';
    return document.querySelectorAll('[data-reached]').length;
}"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    play(stage, time.monotonic())
    yield stage
    stage.page.close()


def tree(page: Any) -> list[dict[str, Any]]:
    """What Chromium tells those who listen: role, name and properties of each element."""
    session = page.context.new_cdp_session(page)
    session.send("Accessibility.enable")
    return [
        {
            "role": node["role"]["value"],
            "name": node.get("name", {}).get("value", ""),
            **{each["name"]: each["value"].get("value") for each in node.get("properties", ())},
        }
        for node in session.send("Accessibility.getFullAXTree")["nodes"]
        if not node.get("ignored")
    ]


def heard(page: Any) -> list[tuple[float, str]]:
    """What was read out, and when."""
    return [(float(at), str(text)) for at, text in page.evaluate("window.heard")]


def wait_for_speech(page: Any, part: str) -> None:
    """Wait until a text with this in it was read out."""
    script = f"() => window.heard.some(([, text]) => text.includes({part!r}))"
    page.wait_for_function(script, timeout=HANG_MS)


def test_each_control_has_a_name_of_its_own(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url) as page:
        page.locator("#failovers tr").wait_for()
        found = tree(page)
    assert [node for node in found if node["role"] in NAMED and not node["name"]] == []
    names = Counter(node["name"] for node in found if node["role"] in CONTROLS)
    # Two tables may lead to the same moment.
    assert [name for name, times in names.items() if times > 1 and "Go to" not in name] == []
    assert {"Kill, n3", "Partition", "Scale to", "n3, leader, term 3"} <= names.keys()


def test_only_answers_and_the_story_are_read_out_by_themselves(
    browser: Chromium, stage: Stage
) -> None:
    with browser.page(stage.page.url) as page:
        page.locator("#failovers tr").wait_for()
        live = page.locator("[aria-live], [role='status'], [role='alert'], [role='log']")
        names = {one.get_attribute("id") or one.get_attribute("class") for one in live.all()}
        assert names == {"lost", "said", "outcome"}
        assert {node["live"] for node in tree(page) if node.get("live")} == {"polite"}


def test_a_fail_over_is_read_out_in_two_sentences(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url) as page:
        page.locator("#failovers tr").wait_for()
        page.evaluate(HEARD)
        now = time.monotonic()
        stage.tell(now, "died", LAUNCHER, "n3 (leader) was killed by SIGKILL", victim="n3")
        for number in range(40):
            stage.tell(now + number / 1000, "voted", "n1", f"n1 votes for n2: {number}")
        stage.tell(now + 0.05, "explained", LAUNCHER, "n2 leads now (term 4)", about="leader")
        wait_for_speech(page, "n2 leads now")
        ((_, text),) = heard(page)
        assert text == "n3 (leader) was killed by SIGKILL. n2 leads now (term 4)."


def test_a_thousand_events_at_once_are_not_a_thousand_sentences(
    browser: Chromium, stage: Stage
) -> None:
    with browser.page(stage.page.url) as page:
        page.locator("#failovers tr").wait_for()
        page.evaluate(HEARD)
        for number in range(999):
            stage.journal.tell("fault", f"event {number}", what="slow", victims=["n1"])
        stage.journal.tell("failover", "n2 leads in place of n3", number=2, began_at=1.0)
        wait_for_speech(page, "n2 leads in place of n3")
        stage.journal.tell("verdict", "passed: nothing was lost", passed=True)
        wait_for_speech(page, "passed")
        times = [at for at, _ in heard(page)]
        assert all(later - at >= SPEECH_MS for at, later in pairwise(times))
        (text,) = [text for _, text in heard(page) if "n2 leads" in text]
        assert text.endswith("more events.")
        assert text.count("event ") == 1


def test_the_scrubber_does_not_read_out_the_time_that_passes(
    browser: Chromium, stage: Stage
) -> None:
    with browser.page(stage.page.url) as page:
        scrubber = page.locator("#scrubber[aria-valuetext='live']")
        scrubber.wait_for()
        page.locator("#scrubber").focus()
        page.keyboard.press("ArrowLeft")
        page.locator("body[data-time='past']").wait_for()
        page.locator("#scrubber:not([aria-valuetext='live'])").wait_for()
        text = page.locator("#scrubber").get_attribute("aria-valuetext")
        assert text.count(":") == 2


def test_the_tab_key_reaches_everything_that_can_be_used(browser: Chromium, stage: Stage) -> None:
    with browser.page(stage.page.url) as page:
        page.locator("#failovers tr").wait_for()
        page.locator("#leases-note").wait_for(state="attached")
        to_reach = page.evaluate(TO_REACH)
        reached = 0
        for _ in range(2 * to_reach):
            page.keyboard.press("Tab")
            reached = page.evaluate(MARK_FOCUSED)
            if reached >= to_reach:
                break
        left = "[...document.querySelectorAll('a, button, input, select, [tabindex=\"0\"]')]"
        missed = page.evaluate(
            f"{left}.filter((one) => one.checkVisibility() && !('reached' in one.dataset))"
            ".map((one) => one.id || one.textContent)"
        )
        assert missed == []


def test_what_has_the_focus_keeps_it_while_the_page_changes(
    browser: Chromium, stage: Stage
) -> None:
    focused = "document.activeElement.getAttribute('aria-label')"
    with browser.page(stage.page.url) as page:
        page.locator("#failovers tr button").focus()
        moment = page.evaluate(focused)
        fields = {"number": 2, "cause": "kill n3", "began_at": time.monotonic()}
        stage.journal.tell("failover", "n2 leads in place of n3", **fields)
        page.locator("#failovers tr", has_text="kill n3").wait_for()
        assert page.evaluate(focused) == moment
        page.get_by_label("Cut off n1").focus()
        stage.look(view(row("n1"), row("n4"), row("n3", state="leader"), leader="n3"))
        page.get_by_label("Cut off n4").wait_for()
        assert page.evaluate(focused) == "Cut off n1"
        page.locator("#events li button").last.focus()
        for number in range(300):
            stage.journal.tell("fault", f"event {number}", what="slow", victims=["n1"])
        page.locator("#events li", has_text="event 299").wait_for()
        page.wait_for_function("document.activeElement.id === 'events'", timeout=HANG_MS)
