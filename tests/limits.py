"""How long tests wait. A test's verdict depends on what happens, never on how fast.

So there is one limit for everything that must happen. It only ends what hangs: on a machine a tenth
as fast as a developer's, with other work beside, nothing that is waited for takes a quarter of it.
What a limit of the code itself does is tested with a clock of the test, or with a limit so short
that it is over on any machine. How fast something is, is a benchmark's business (tests/bench).
"""

from __future__ import annotations

from typing import Final, TypedDict

HANG_SECONDS: Final = 240.0
HANG_MS: Final = int(HANG_SECONDS * 1_000)


class Patience(TypedDict):
    """How long a client waits."""

    timeout: float
    dial_timeout: float


PATIENT: Final[Patience] = {"timeout": HANG_SECONDS, "dial_timeout": HANG_SECONDS}
"""For a client whose requests must succeed."""

UNHURRIED: Final = ("--heartbeat-interval=100", "--election-timeout=3000")
"""For nodes that share their processors with much else: no leader must be taken for dead while it
waits for one."""
