"""The desk where passwords wait to be hashed or checked: one at a time, and not too often.

After a wrong password, the next one for the same name waits, longer each time; passwords for other
names go first. Names that no user has are treated the same. Knows neither users nor threads. Times
are milliseconds of the caller's clock.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final, NamedTuple

from actors.gateway.passwords import fits, hash_password
from actors.language.messages import Ticket

WAITING_MAX: Final = 64
"""The passwords that may wait: with 50 ms for each, the last one waits for some 3 s."""

WAITING_PER_NAME_MAX: Final = 4
"""The passwords that may wait for one name, of which each may be a wrong one."""

DELAY_MS_FIRST: Final = 100
DELAY_MS_MAX: Final = 2_000
"""How long the next password waits after the first wrong one; it doubles with each, up to 2 s."""

FORGIVEN_MS: Final = 60_000
"""After a minute without a wrong password its name is as any other."""

NAMES_MAX: Final = 10_000
"""The names with wrong passwords that are remembered; of more, the oldest is forgotten."""


class PasswordCheck(NamedTuple):
    """Whether this password fits a hash. `name` is the user's, or at least the one given."""

    name: str
    password: str
    hashed: bytes

    def compute(self) -> bool:
        """The slow part: whether it does."""
        return fits(self.password, self.hashed)


class NewPassword(NamedTuple):
    """The hash of a password, at a cost of 2**cost_log2 steps."""

    password: str
    salt: bytes
    cost_log2: int

    def compute(self) -> bytes:
        """The slow part: the hash."""
        return hash_password(self.password, self.salt, self.cost_log2)


Work = PasswordCheck | NewPassword


class PasswordJob(NamedTuple):
    """What is to be computed, for the request with this ticket."""

    ticket: Ticket
    work: Work


class _Wrong(NamedTuple):
    """The wrong passwords for a name, one after the other: how many, and when the last one was."""

    times: int
    at_ms: int

    @property
    def free_ms(self) -> int:
        """When the next password may be checked."""
        return self.at_ms + min(DELAY_MS_FIRST << min(self.times - 1, 10), DELAY_MS_MAX)


class PasswordDesk:
    """The desk of one node."""

    def __init__(self) -> None:
        # In the order in which they came.
        self.waiting: deque[PasswordJob] = deque()
        self._per_name: Counter[str] = Counter()
        # In the order of their last wrong password.
        self._wrong: dict[str, _Wrong] = {}

    def maybe_take_in(self, job: PasswordJob) -> bool:
        """Let a password wait for its turn; False if too many wait already."""
        work = job.work
        if len(self.waiting) >= WAITING_MAX:
            return False
        if isinstance(work, PasswordCheck):
            if self._per_name[work.name] >= WAITING_PER_NAME_MAX:
                return False
            self._per_name[work.name] += 1
        self.waiting.append(job)
        return True

    def next(self, now_ms: int) -> PasswordJob | None:
        """The password whose turn it is; None: all that wait must wait on."""
        for place, job in enumerate(self.waiting):
            if self._free_ms(job.work) <= now_ms:
                del self.waiting[place]
                if isinstance(job.work, PasswordCheck):
                    self._per_name[job.work.name] -= 1
                    if not self._per_name[job.work.name]:
                        del self._per_name[job.work.name]
                return job
        return None

    def due_ms(self) -> int | None:
        """When the turn of the next one comes; None if none waits."""
        return min([self._free_ms(each.work) for each in self.waiting], default=None)

    def checked(self, name: str, now_ms: int, *, is_right: bool) -> int:
        """A password was checked; returns how many wrong ones the name has had in a row."""
        before = self._wrong.pop(name, None)
        if is_right:
            return 0
        is_old = before is None or before.at_ms + FORGIVEN_MS <= now_ms
        times = 1 if before is None or is_old else before.times + 1
        if len(self._wrong) >= NAMES_MAX:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[name] = _Wrong(times, now_ms)
        return times

    def _free_ms(self, work: Work) -> int:
        wrong = self._wrong.get(work.name) if isinstance(work, PasswordCheck) else None
        return wrong.free_ms if wrong is not None else 0
