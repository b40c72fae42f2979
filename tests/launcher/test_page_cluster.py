"""The page of a real launcher and cluster, in a real Chromium: every button, and what it does."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cluster.client.api import Client
from tests.launcher.chromium import IS_DRAWN, Chromium
from tests.limits import HANG_SECONDS
from tests.ports import free_ports

pytestmark = pytest.mark.process

SCRIPT = Path(__file__).resolve().parents[2] / "run_cluster.py"
TASK = "import os; print(os.environ['LEASECTL_ENDPOINTS'], flush=True); input()"
"""Runs as long as its cluster is wanted."""


class Running(NamedTuple):
    """A launcher with a page: its process, the page's address, and the cluster's endpoints."""

    process: subprocess.Popen[str]
    url: str
    endpoints: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    port = free_ports(1)[0].client
    launcher = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--web", str(port), "--", sys.executable, "-c", TASK],
        cwd=tmp_path_factory.mktemp("launcher"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert launcher.stdout is not None
    assert launcher.stderr is not None
    url = next(found[1] for line in launcher.stderr if (found := re.search(r"page: (\S+)", line)))
    yield Running(launcher, url, launcher.stdout.readline().strip())
    launcher.communicate("\n", timeout=HANG_SECONDS)
    assert launcher.returncode == 0


class Looker:
    """Somebody who looks at the page and clicks."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def choose(self, name: str) -> None:
        """Look at a node."""
        self.page.locator(f".node[data-node='{name}']").click()
        self.page.locator("#node-title", has_text=f"Node {name}").wait_for()

    def click(self, verb: str) -> None:
        """Click a button of the node that is looked at, and wait until it is carried out."""
        button = self.page.locator(f"[data-verb='{verb}']:not([aria-disabled])")
        button.click()
        if self.page.locator("#sure").is_visible():
            self.page.locator("#sure-yes").click()
        outcome = self.page.locator(".node-card .outcome[data-state='done']")
        outcome.filter(has_text=re.compile(rf"^{verb} ")).wait_for()

    def quick(self, label: str) -> None:
        """Click a button below the ring, and wait until it is carried out."""
        button = self.page.get_by_role("button", name=label, exact=True)
        button.click()
        line = button.get_attribute("data-line") or button.get_attribute("data-whole")
        done = self.page.locator(".ring-card .outcome[data-state='done']")
        done.filter(has_text=re.compile(rf"^{line}( .*)?: ")).wait_for()

    def sees(self, name: str, state: str) -> None:
        """Wait until a node is shown like this."""
        self.page.locator(f".node[data-node='{name}'][data-state='{state}']").wait_for()

    def leader(self, other_than: str = "") -> str:
        """The node that is shown to lead."""
        found = self.page.locator(f".node[data-state='leader']:not([data-node='{other_than}'])")
        found.wait_for()
        return str(found.get_attribute("data-node"))

    def event(self, pattern: str) -> None:
        """Wait until an event is shown."""
        self.page.locator("#events li", has_text=re.compile(pattern)).first.wait_for()


@pytest.fixture
def looker(browser: Chromium, running: Running) -> Iterator[Looker]:
    with browser.page(running.url) as page:
        looker = Looker(page)
        looker.leader()
        page.locator(".node").nth(2).wait_for()
        yield looker


def test_a_click_on_kill_shows_the_next_leader(looker: Looker) -> None:
    before = looker.leader()
    looker.choose(before)
    looker.click("kill")
    looker.sees(before, "killed")
    after = looker.leader(other_than=before)
    looker.page.locator("h1", has_text=f"{after} leads in term").wait_for()
    looker.event(rf"{before}.*killed by SIGKILL")
    looker.choose(before)
    looker.click("start")
    looker.sees(before, "follower")


def test_each_button_for_processes_does_what_it_says(looker: Looker) -> None:
    leader = looker.leader()
    name = next(name for name in ("n1", "n2", "n3") if name != leader)
    looker.choose(name)
    looker.click("stop")
    looker.sees(name, "stopped")
    looker.click("start")
    looker.sees(name, "follower")
    looker.click("pause")
    looker.sees(name, "paused")
    looker.click("resume")
    looker.sees(name, "follower")
    looker.click("restart")
    looker.sees(name, "follower")
    looker.click("wipe")
    looker.sees(name, "follower")


def test_each_button_for_links_does_what_it_says(looker: Looker) -> None:
    leader = looker.leader()
    name = next(name for name in ("n1", "n2", "n3") if name != leader)
    looker.choose(name)
    for verb, words in [("isolate", "isolated"), ("slow", "slow|later"), ("lossy", "loses|lossy")]:
        looker.click(verb)
        looker.page.locator("#node-links", has_text=re.compile(words)).wait_for()
        looker.page.locator(f".node[data-node='{name}'][data-faulty]").wait_for()
        looker.click("heal")
        looker.page.locator(f".node[data-node='{name}']:not([data-faulty])").wait_for()
    looker.page.locator("#way").select_option("in")
    looker.click("isolate")
    looker.event(f"{name} hears no other node")
    looker.quick("Heal all links")


def test_each_button_for_members_does_what_it_says(looker: Looker) -> None:
    leader = looker.leader()
    name = next(name for name in ("n1", "n2", "n3") if name != leader)
    looker.choose(name)
    looker.click("transfer")
    looker.sees(name, "leader")
    looker.quick("Add learner")
    looker.page.locator(".node[data-state='learner']").wait_for()
    learner = str(looker.page.locator(".node[data-state='learner']").get_attribute("data-node"))
    looker.choose(learner)
    looker.click("promote")
    looker.sees(learner, "follower")
    looker.click("remove")
    looker.page.locator(f".node[data-node='{learner}']").wait_for(state="detached")


def test_each_button_below_the_ring_does_what_it_says(looker: Looker) -> None:
    before = looker.leader()
    looker.quick("Transfer")
    after = looker.leader(other_than=before)
    looker.quick("Pause leader")
    looker.sees(after, "paused")
    looker.leader(other_than=after)
    looker.choose(after)
    looker.click("resume")
    looker.sees(after, "follower")
    before = looker.leader()
    looker.quick("Isolate leader")
    looker.leader(other_than=before)
    looker.quick("Heal all links")
    looker.sees(before, "follower")
    before = looker.leader()
    looker.quick("Kill leader")
    looker.sees(before, "killed")
    looker.choose(before)
    looker.click("start")
    looker.quick("Add voter")
    looker.page.locator(".node").nth(3).wait_for()
    added = str(looker.page.locator(".node").nth(3).get_attribute("data-node"))
    looker.choose(added)
    looker.click("remove")
    looker.page.locator(f".node[data-node='{added}']").wait_for(state="detached")


def test_a_partition_cuts_off_the_nodes_that_are_chosen(looker: Looker) -> None:
    before = looker.leader()
    looker.quick("Partition")  # the leader is chosen until somebody chooses
    after = looker.leader(other_than=before)
    looker.sees(before, "isolated")
    looker.quick("Heal all links")
    looker.sees(before, "follower")
    looker.page.get_by_label(f"Cut off {after}").uncheck()
    assert looker.page.get_by_role("button", name="Partition").get_attribute("aria-disabled")
    looker.page.get_by_label(f"Cut off {after}").check()
    looker.quick("Partition")
    looker.sees(after, "isolated")
    looker.leader(other_than=after)
    looker.quick("Heal all links")
    looker.sees(after, "follower")


def test_scale_adds_voters_and_removes_them_again(looker: Looker) -> None:
    looker.leader()
    looker.page.get_by_label("Voters").fill("5")
    looker.quick("Scale to")
    looker.page.locator(".node[data-state='follower']").nth(3).wait_for()
    looker.page.get_by_label("Voters").fill("3")
    looker.quick("Scale to")
    looker.page.locator(".node").nth(3).wait_for(state="detached")
    looker.leader()


def test_load_and_chaos_begin_and_end(looker: Looker) -> None:
    looker.leader()
    looker.quick("Load")
    looker.event("load: put=1,get=4")
    looker.quick("End load")
    looker.event("the load .* is off")
    looker.page.get_by_role("button", name="Chaos", exact=True).click()
    looker.event("chaos for 30 s")
    looker.quick("End chaos")
    looker.event("stopped")
    looker.page.locator(".node:is([data-state='leader'], [data-state='follower'])").nth(
        2
    ).wait_for()
    looker.quick("Heal all links")


def test_keys_are_shown_as_they_change_and_leases_run_down(
    looker: Looker, running: Running
) -> None:
    page = looker.page
    page.locator("#keys-note", has_text="keys").wait_for()
    with Client(running.endpoints) as client:
        client.put("/outside", b"\xff\x00")
        page.locator("#keys tr", has_text="/outside").locator("td", has_text="ff 00").wait_for()
        client.delete("/outside")
        page.locator("#keys tr", has_text="/outside").wait_for(state="detached")
        page.get_by_label("Key", exact=True).fill("/inside")
        page.get_by_label("Value").fill("ä")
        page.get_by_label("TTL, s").fill("600")
        page.get_by_role("button", name="Put").click()
        page.locator("#keys tr", has_text="/inside").wait_for()
        found = client.get("/inside")
        assert found is not None
        assert found.value.decode() == "ä"
        page.locator("#leases").scroll_into_view_if_needed()
        clock = page.locator("#leases li", has_text="/inside")
        clock.wait_for()
        assert "s of 600 s" in clock.inner_text()
        page.get_by_label("Prefix").fill("/nothing")
        page.locator("#keys-empty").wait_for()
        page.get_by_label("Prefix").fill("/in")
        page.get_by_role("button", name="Delete /inside").click()
        page.locator("#keys tr", has_text="/inside").wait_for(state="detached")
        assert client.get("/inside") is None


def test_messages_travel_between_the_nodes(looker: Looker) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not looker.page.evaluate(IS_DRAWN):
        assert time.monotonic() < deadline


def test_a_launcher_that_hangs_is_told_from_one_that_is_gone(
    looker: Looker, running: Running
) -> None:
    lost = looker.page.locator("#lost")
    running.process.send_signal(signal.SIGSTOP)
    try:
        lost.filter(has_text="says nothing").wait_for()
    finally:
        running.process.send_signal(signal.SIGCONT)
    lost.wait_for(state="hidden")
    looker.page.locator("#connection", has_text="connected").wait_for()
    looker.leader()
