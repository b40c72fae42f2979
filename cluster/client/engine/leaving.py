"""Calls whose callers leave: they were cancelled, or interrupted, while they waited.

Pure; it sends by the client's calls. A request that was sent may be applied all the same. Where it
would then hold something that nobody knows of (a lease, a place in a queue), it is taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cluster.client.engine.call import Call, Phase
from cluster.client.engine.calling import Calls
from cluster.client.replies import Reply

REGRET_SECONDS: Final = 30.0
"""How long the client tries to take back what such a call did."""

Regret = Callable[[Reply], dict[str, Any] | None]
"""Makes the request that takes back what a call did, from its reply; None: there is nothing to take
back. A repetition of that request must change nothing."""


def leave(calls: Calls, call: Call, regret: Regret | None, now: float) -> None:
    """Nobody waits for a call any more: forget it, unless it may change something.

    A write that was sent goes on to its end, and is then taken back if there is a `regret`.
    """
    if call.phase is Phase.DONE:
        _take_back(calls, call, regret, now)
    elif call.write and call.attempts:
        call.wake = None
        call.on_done = lambda done, when: _take_back(calls, done, regret, when)
    else:
        calls.abandon(call)


def _take_back(calls: Calls, call: Call, regret: Regret | None, now: float) -> None:
    fields = None if regret is None or call.reply is None else regret(call.reply)
    if fields is not None:
        back = Call(fields, REGRET_SECONDS, write=True)
        back.repeatable = True
        back.on_done = lambda done, when: None
        calls.begin(back, now)
