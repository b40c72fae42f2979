"""An errand: let the cluster check every request, with users for its people and for the launcher.

root may do everything, app may read and write every key, and both have passwords. The launcher has
a key, which never ends as a token does, and the role root: it owns the members' directories, and
could do everything anyway. Refuses to know where the secrets are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from cluster.faults import FAULTS
from cluster.launcher.errands.errand import Ask, Errand, OrderRefusedError
from cluster.launcher.errands.membership import ask_leader, pause, until_led
from cluster.launcher.nodes.processes import Processes
from cluster.launcher.secure.files import APP, ROOT, SecureFiles
from cluster.launcher.secure.refusals import NOBODY, explained

LAUNCHER_USER: Final = "launcher"

DONE: Final = frozenset(
    FAULTS[name].message for name in ("UserAlreadyExist", "RoleAlreadyExist", "KeyInUse")
)
"""What an earlier start has done, which ended before authentication was on."""

BEHIND_SECONDS: Final = 10.0
"""A node that still does not know the launcher after this time will not know it."""

_EVERY_KEY: Final = b"\0"


def check_requests(cluster: Processes, files: SecureFiles) -> Errand[None]:
    """Make the users and their roles, and have every node check requests, unless it is so.

    Done when all running nodes know it.
    """
    leader = yield from until_led(cluster)
    try:
        is_so = yield from _are_checked(leader)
    except OrderRefusedError as error:
        # Somebody has taken the launcher's user away, and the cluster serves all others.
        cluster.journal.tell("users", explained(str(error)), what="shut_out")
        return
    for request in () if is_so else _requests(files):
        try:
            yield from ask_leader(cluster, request)
        except OrderRefusedError as error:
            if str(error) not in DONE:
                raise
    for node in cluster.running:
        yield from _are_checked(node.name)
    if not is_so:
        text = f"requests are checked: {APP} may read and write all keys, {ROOT} may do everything"
        cluster.journal.tell("users", text, what="enabled")


def _are_checked(name: str) -> Errand[bool]:
    """Whether requests are checked, by what was acknowledged before; asked of this node.

    A node that is behind does not know yet whose the launcher's key is, and is asked again.
    """
    until = time.monotonic() + BEHIND_SECONDS
    while True:
        try:
            status = yield Ask(name, {"op": "auth_status"})
        except OrderRefusedError as error:
            if str(error) != NOBODY or time.monotonic() > until:
                raise
        else:
            return bool(status["enabled"])
        yield pause()


def _requests(files: SecureFiles) -> Iterator[dict[str, Any]]:
    """One after the other; authentication is switched on by the last."""
    yield {"op": "user_add", "name": ROOT, "password": files.password(ROOT)}
    yield {"op": "user_grant_role", "user": ROOT, "role": ROOT}
    yield {"op": "role_add", "name": APP}
    permission = {"permType": "READWRITE", "key": _EVERY_KEY, "range_end": _EVERY_KEY}
    yield {"op": "role_grant_permission", "name": APP, "perm": permission}
    yield {"op": "user_add", "name": APP, "password": files.password(APP)}
    yield {"op": "user_grant_role", "user": APP, "role": APP}
    yield {"op": "user_add", "name": LAUNCHER_USER, "options": {"no_password": True}}
    yield {"op": "user_grant_role", "user": LAUNCHER_USER, "role": ROOT}
    key = bytes.fromhex(files.pair.public)
    yield {"op": "user_add_key", "name": LAUNCHER_USER, "key": key}
    yield {"op": "auth_enable"}
