"""Those who ask in a simulation of rights: one who gives and takes rights, and two who need them.

They speak the protocol themselves. What they are answered is judged here by the versions of the
book that there were meanwhile. Knows nothing of how a member decides.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actors.language import commands as c
from cluster.faults import FAULTS
from cluster.wire import pack, unpack
from tests.simulation.book import KEYS
from tests.simulation.saved import require

if TYPE_CHECKING:
    from tests.simulation.rights import World

PATIENCE_MS: Final = 200
"""After this time without an answer somebody asks again, elsewhere."""

DENIED: Final = FAULTS["PermissionDenied"].message
WHO: Final = (FAULTS["UserEmpty"].message, FAULTS["InvalidAuthToken"].message)
ROOT_KEY, BOB_KEY = b"r" * 32, b"b" * 32

INTERVALS: Final = (
    *((key, b"") for key in KEYS),
    (KEYS[0], KEYS[2]),
    (KEYS[1], KEYS[4]),
    (KEYS[2], b"\0"),
    (KEYS[0], b"\0"),
)
KINDS: Final = ("READ", "WRITE", "READWRITE")
ROLES: Final = ("r", "s")


class Visitor:
    """Somebody with one request under way, and perhaps watches."""

    key: bytes = b""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.chance = world.timeline.stream(f"visitor {number}")
        self._last_id = 0
        self._member = 0
        world.visitors[number] = self
        self.later()

    def later(self) -> None:
        """Go on a little later."""
        delay_ms = 1 + self.chance(8)
        self.world.timeline.after(delay_ms, f"visitor {self.number}", self.go_on)

    def go_on(self) -> None:
        """Ask for the next thing."""

    def answered(self, reply: dict[str, Any] | None) -> None:
        """The answer to what was asked last; None: there will be none."""

    def ask(self, fields: dict[str, Any], member: int = 0) -> None:
        """Send a request to some member."""
        self._last_id += 1
        self._member = member or self.chance.of(tuple(self.world.places))
        frame = pack({"id": self._last_id, **fields})
        self.world.request(self, self._member, frame)
        give_up = partial(self._give_up, self._last_id)
        self.world.timeline.after(PATIENCE_MS, f"patience {self.number}", give_up)

    def _give_up(self, request_id: int) -> None:
        if request_id == self._last_id and self._member:
            self._member = 0
            self.answered(None)

    def reply(self, member: int, frame: bytes) -> None:
        """A frame has come."""
        message = unpack(frame)
        if message.get("id") == self._last_id and self._member:
            self._member = 0
            self.answered(message)
        elif "watch_id" in message:
            self.told(member, message)

    def told(self, member: int, message: dict[str, Any]) -> None:
        """Something of a watch."""

    def lost(self, member: int) -> None:
        """The connection to a member broke."""
        if member == self._member:
            self._give_up(self._last_id)


class Admin(Visitor):
    """Sets users up as root, by a key, and then changes rights all the time."""

    key = ROOT_KEY

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self.passwords: dict[str, str] = {"ann": "first"}
        self._steps: list[dict[str, Any]] = [
            {"op": "user_add", "name": "root", "options": {"no_password": True}},
            {"op": "user_add_key", "name": "root", "key": ROOT_KEY},
            {"op": "user_grant_role", "user": "root", "role": "root"},
            *({"op": "role_add", "name": role} for role in ROLES),
            self._ann(),
            *self._bob(),
            {"op": "role_grant_permission", "name": "r", "perm": self._permission()},
            {"op": "user_grant_role", "user": "ann", "role": "r"},
            {"op": "user_grant_role", "user": "bob", "role": "r"},
            {"op": "auth_enable"},
        ]
        self._is_set_up = False

    def _ann(self) -> dict[str, Any]:
        return {"op": "user_add", "name": "ann", "password": self.passwords["ann"]}

    def _bob(self) -> list[dict[str, Any]]:
        return [
            {"op": "user_add", "name": "bob", "options": {"no_password": True}},
            {"op": "user_add_key", "name": "bob", "key": BOB_KEY},
        ]

    def go_on(self) -> None:
        if self._steps:
            self.ask(self._steps[0])
        elif not self.world.is_calm:
            self._is_set_up = True
            self._steps = self._draw()
            self.ask(self._steps[0])

    def _draw(self) -> list[dict[str, Any]]:
        chance = self.chance
        user, role = chance.of(("ann", "bob")), chance.of(ROLES)
        match chance(10):
            case 0 | 1 | 2:
                given = {"name": role, "perm": self._permission()}
                return [{"op": "role_grant_permission", **given}]
            case 3 | 4:
                key, range_end = chance.of(INTERVALS)
                taken = {"role": role, "key": key, "range_end": range_end}
                return [{"op": "role_revoke_permission", **taken}]
            case 5 | 6:
                return [{"op": "user_grant_role", "user": user, "role": role}]
            case 7:
                return [{"op": "user_revoke_role", "name": user, "role": role}]
            case 8:
                self.passwords["ann"] = f"password {chance(1_000)}"
                changed = {"name": "ann", "password": self.passwords["ann"]}
                return [{"op": "user_change_password", **changed}]
            case _:
                again = [self._ann()] if user == "ann" else self._bob()
                granted = {"op": "user_grant_role", "user": user, "role": role}
                return [{"op": "user_delete", "name": user}, *again, granted]

    def _permission(self) -> dict[str, Any]:
        key, range_end = self.chance.of(INTERVALS)
        return {"permType": self.chance.of(KINDS), "key": key, "range_end": range_end}

    def answered(self, reply: dict[str, Any] | None) -> None:
        # Without an answer it may have been done: it is asked again, and refused then.
        text = (reply or {}).get("error", {}).get("message", "")
        is_unsure = reply is None or text in WHO or "timed out" in text
        require(text != DENIED, f"root was denied {self._steps[:1]}")
        if not is_unsure:
            self._steps.pop(0)
        self.later()


class Watched:
    """A watch: what it is of, where it began, and whether it goes on."""

    def __init__(self, op: c.Range, member: int, began: int) -> None:
        self.op = op
        self.member = member
        self.began = began
        self.has_ended = False


class Tenant(Visitor):
    """Reads, writes and watches, in a session of its own, and at times in another's."""

    def __init__(self, world: World, number: int, name: str, *, has_key: bool) -> None:
        super().__init__(world, number)
        self.name = name
        if has_key:
            self.key = BOB_KEY
        self.session = 0
        self._seq = 0
        self._token = ""
        self._asked: dict[str, Any] = {}
        self._first = 0
        self._is_again = False
        self._watches: dict[tuple[int, int], Watched] = {}

    # --- what it asks ---

    def go_on(self) -> None:
        if self.world.is_calm:
            return
        if not self._is_again:
            self._asked = self._draw()
        self._is_again = False
        fields = dict(self._asked)
        if self._token and fields["op"] != "authenticate":
            fields["token"] = self._token
        member = self.chance.of(tuple(self.world.places))
        # A serializable read may be of all that this member has applied, a watch and others later.
        place, log = self.world.places[member], self.world.log
        is_local = fields.get("serializable") or fields["op"] == "watch_create"
        self._first = place.machine.applied_index if is_local else len(log.entries)
        self.ask(fields, member)

    def _draw(self) -> dict[str, Any]:
        chance = self.chance
        if not self.key and (not self._token or chance.happens(0.05)):
            password = self.world.admin.passwords["ann"]
            return {"op": "authenticate", "name": "ann", "password": password}
        if not self.session:
            return {"op": "session_open"}
        match chance(10):
            case 0 | 1 | 2:
                return {"op": "range", **self._interval(), "serializable": chance(2) == 0}
            case 3:
                return {"op": "watch_create", **self._interval(), "start_revision": 1}
            case 4:
                return {"op": "watch_create", **self._interval()}
            case 5:
                others = [each.session for each in self.world.tenants if each is not self]
                stolen = {"session": others[0] or 1, "seq": self._seq + 1 + chance(3), "ack": 0}
                return {"op": "put", "key": chance.of(KEYS), "value": b"stolen", **stolen}
            case 6:
                puts = [{"request_put": self._put()}, {"request_put": self._put()}]
                compare = {"key": chance.of(KEYS), "target": "VERSION", "version": chance(3)}
                return {"op": "txn", "compare": [compare], "success": puts[:1], "failure": puts[1:]}
            case 7:
                deleted = {"prev_kv": chance(2) == 0, **self._interval()}
                return {"op": "delete_range", **deleted}
            case _:
                self._seq += 1
                number = {"session": self.session, "seq": self._seq, "ack": self._seq}
                return {"op": "put", **self._put(), "prev_kv": chance(4) == 0, **number}

    def _put(self) -> dict[str, Any]:
        return {"key": self.chance.of(KEYS), "value": self.name.encode()}

    def _interval(self) -> dict[str, Any]:
        key, range_end = self.chance.of(INTERVALS)
        return {"key": key, "range_end": range_end}

    # --- what it is answered ---

    def answered(self, reply: dict[str, Any] | None) -> None:
        asked, op = self._asked, self._asked["op"]
        text = (reply or {}).get("error", {}).get("message", "")
        # Without an answer, or as somebody unknown, it asks the very same again.
        self._is_again = reply is None or text in WHO or "timed out" in text
        if text in WHO or "authentication failed" in text:
            self._token = ""
            self._is_again = self._is_again and bool(self.key)
        if reply is not None and not text:
            self._learn(op, reply)
        if op == "range" and reply is not None and (not text or text == DENIED):
            self._judge_read(asked, denied=text == DENIED)
        if "session not found" in text and asked.get("session") == self.session:
            self.session = 0
        self.later()

    def _learn(self, op: str, reply: dict[str, Any]) -> None:
        if op == "authenticate":
            self._token = reply["token"]
        elif op == "session_open":
            self.session, self._seq = reply["session"], 0

    def _judge_read(self, asked: dict[str, Any], *, denied: bool) -> None:
        log = self.world.log
        op = c.Range(asked["key"], asked["range_end"])
        versions = log.between(self._first, len(log.entries))
        is_fair = any(version.may(self.name, op) != denied for version in versions)
        verdict = "denied" if denied else "shown"
        self.world.counts[f"reads {verdict}"] += 1
        require(is_fair, f"{self.name} was {verdict} {op}, by no version of {versions}")

    # --- watches ---

    def reply(self, member: int, frame: bytes) -> None:
        message = unpack(frame)
        if message.get("created") and message.get("id") == self._last_id and self._member:
            self._created(member, message)
        super().reply(member, frame)

    def _created(self, member: int, message: dict[str, Any]) -> None:
        op = c.Range(self._asked["key"], self._asked["range_end"])
        log = self.world.log
        versions = log.between(self._first, len(log.entries))
        refused = message.get("canceled", False)
        if not refused or message["cancel_reason"] == DENIED:
            is_fair = any(version.may(self.name, op) != refused for version in versions)
            require(is_fair, f"{self.name}'s watch of {op} was refused: {refused}; {versions}")
        if not refused:
            watched = Watched(op, member, message["header"]["revision"])
            self._watches[member, message["watch_id"]] = watched
            self.world.counts["watches"] += 1

    def told(self, member: int, message: dict[str, Any]) -> None:
        watched = self._watches.get((member, message["watch_id"]))
        if watched is None:
            return
        if message.get("canceled"):
            require(message["cancel_reason"] == DENIED, f"a watch ended: {message}")
            watched.has_ended = True
            self.world.counts["watches ended"] += 1
            del self._watches[member, message["watch_id"]]
        for event in message.get("events", ()):
            self._judge_event(watched, event["kv"]["mod_revision"])

    def _judge_event(self, watched: Watched, revision: int) -> None:
        """Since it began the watch must have been allowed by every version before this event."""
        log = self.world.log
        self.world.counts["events"] += 1
        if revision <= watched.began:
            return
        behind = [index for index, at in log.revisions.items() if at == watched.began]
        first = max(behind)
        last = min(index for index, at in log.revisions.items() if at >= revision)
        for version in log.between(first, last):
            if first < version.at < last:
                allowed = version.may(self.name, watched.op)
                text = (
                    f"{self.name} was told of revision {revision} in {watched.op}, after {version}"
                )
                require(allowed, text)

    def lost(self, member: int) -> None:
        self._watches = {at: each for at, each in self._watches.items() if at[0] != member}
        super().lost(member)

    def judge(self) -> None:
        """In the end nobody watches what they may not."""
        version = self.world.log.versions[-1]
        for watched in self._watches.values():
            require(version.may(self.name, watched.op), f"{self.name} still watches {watched.op}")
