"""Bugs planted for the simulation in the shipped core: which a small world shows, and which none.

`python -m tests.spec bugs` looks for those of `SHOWN` and prints the table of tests/README.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from tests.simulation.mutants.planting import PLANTED
from tests.spec.explore import Explorer, Result
from tests.spec.of_cores import Cores
from tests.spec.worlds import WORLDS

SECONDS_MAX: Final = 600.0


class Shown(NamedTuple):
    """The world in which a bug shows, and the steps of the shortest way to it there."""

    world: str
    steps: int


SHOWN: Final[dict[str, Shown]] = {
    "vote_not_saved": Shown("three-rivals-crash", 11),
    "own_vote_counts_before_it_is_saved": Shown("three-rivals-late", 10),
    "old_terms_are_counted": Shown("three-figure-8", 18),
    "promises_leave_before_the_save": Shown("pair-crashes", 7),
    "votes_for_any_log": Shown("three-succession", 9),
    "compares_logs_by_length": Shown("three-stale", 16),
    "truncates_always": Shown("pair-crashes", 17),
    "does_not_compare_the_previous_term": Shown("three-divided", 6),
    "commits_on_a_minority": Shown("pair", 5),
    "reads_without_a_quorum": Shown("learner-reads", 11),
    "reads_before_the_own_term_is_committed": Shown("pair-reads-anew", 9),
    "reads_overtake_what_they_must_see": Shown("three-reads-behind", 5),
    "tells_of_commits_before_the_save": Shown("pair-late-saves", 9),
    "votes_again_in_the_same_term": Shown("three-rivals", 9),
    "heartbeats_commit_what_they_do_not_know": Shown("three-behind", 11),
    "read_ids_begin_anew": Shown("pair-reads", 10),
    "a_save_covers_what_came_during_it": Shown("pair-late-saves", 15),
    "promises_wait_for_no_late_sync": Shown("pair-late-saves", 10),
    "several_changes_at_a_time": Shown("three-replace-one", 1),
    "voters_change_in_one_step": Shown("three-replace-one", 1),
    "a_change_ends_before_it_is_committed": Shown("three-replace-one", 1),
    "a_restart_forgets_uncommitted_members": Shown("one-grows", 4),
    "a_snapshot_keeps_what_contradicts_it": Shown("three-behind-snapshot", 13),
    "a_snapshot_overtakes_its_term": Shown("learner-snapshot", 4),
}

FORGETS: Final = "a world has no member that comes back with an empty disk, or an older one"
ONLY_THE_SPEC: Final = (
    "it breaks no invariant: the simulator finds that no action of the spec is so"
)

NOT_SHOWN: Final[dict[str, str]] = {
    "commits_beyond_what_is_proven": (
        "it needs an append that ends before the logs part: more entries than its 1 MiB holds"
    ),
    "a_save_covers_the_term_that_came_during_it": (
        "it needs two rivals in a term, and a crash after a save that began before it: 15 steps in "
        "three-rivals-late, where 11 lead to 224,000 states"
    ),
    "truncation_keeps_the_members": (
        "it needs two changes of leaders around a change of members: where a pair adds a stranger, "
        "14 steps lead to 784,000 states, and do not show it"
    ),
    "only_the_new_voters_count": (
        "only votes and answers are counted so, and it needs a leader by the new voters and one by "
        "the old: four members, two elections, and a joint membership that is lost in a crash"
    ),
    "learners_count": (
        "it needs three voters and two learners: with fewer members, each majority that learners "
        "are counted in has a majority of the voters in it"
    ),
    "changes_before_the_own_term_is_committed": (
        "two joint memberships of one older one cannot both win; " + ONLY_THE_SPEC
    ),
    "a_change_begins_while_the_last_is_half_done": (
        "a leader that commits a joint membership leaves it in the same step, before it hears more"
    ),
    "a_transfer_succeeds_whatever_ends_the_leadership": (
        "only the client that asked for the transfer is told; a world has no clients"
    ),
    "votes_though_it_hears_a_leader": ONLY_THE_SPEC,
    "takes_proposals_while_it_hands_over": ONLY_THE_SPEC,
    "cluster_time_starts_anew_with_each_leader": (
        "time stands still in a world of cores, and leases are the store's"
    ),
    "entries_overtake_a_snapshot_that_is_installed": (
        "the store of a world takes a snapshot in one step"
    ),
    "probation_votes": FORGETS,
    "probation_asks_too_few": FORGETS,
    "probation_adopts_no_term": FORGETS,
    "probation_ends_at_the_wrong_index": FORGETS,
    "a_leader_counts_what_an_earlier_life_acknowledged": FORGETS,
    "a_name_is_published_on_probation": FORGETS,
    "the_right_one_stops": FORGETS,
    "a_rolled_back_disk_goes_on": FORGETS,
}
"""Why no small world shows these bugs of the core."""


def look_for(name: str, world: str) -> Result:
    """Explore a world of cores that have this bug."""
    with PLANTED[name]():
        return Explorer(Cores(WORLDS[world])).run(SECONDS_MAX)


def table(names: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """The lines of the table, and whether each is what is written here."""
    for name in names:
        told = name.replace("_", " ")
        if name not in SHOWN:
            yield f"| {told} | | | | {NOT_SHOWN[name]} |", True
            continue
        world, steps = SHOWN[name]
        found = look_for(name, world)
        is_found = bool(found.broken) and len(found.trace) == steps
        shown = f"{len(found.trace)} | {found.states:,}" if found.broken else "**not found** |"
        yield f"| {told} | {world} | {shown} | {_first_line(found.broken)} |", is_found


def _first_line(text: str) -> str:
    return text.partition("\n")[0].partition("(Entry(")[0][:100].replace("|", "/")
