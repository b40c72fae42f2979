"""Alarms: which members have raised which, and what the cluster refuses while they stand.

They are a part of the replicated state. `raiser.py`, `warden.py` and `checker.py` raise them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, get_args

from actors.language.auth import AuthCommand
from actors.language.commands import (
    AdvanceClock,
    AlarmActivate,
    AlarmDeactivate,
    AlarmMember,
    AlarmType,
    Command,
    IntegrityCheck,
    IntegrityReport,
    LeaseKeepAlive,
    MemberPublish,
    SessionOpen,
    SetMembers,
)
from actors.language.costs import cost_of
from actors.language.results import Failure

NO_SPACE: Final = Failure("NoSpace")
CORRUPT: Final = Failure("Corrupt")

_REFUSING: Final = frozenset({AlarmType.NOSPACE, AlarmType.CORRUPT})
"""The alarms that refuse commands; the others only warn."""

_NO_CHANGES: Final = (
    LeaseKeepAlive,
    AdvanceClock,
    SessionOpen,
    MemberPublish,
    SetMembers,
    AlarmActivate,
    AlarmDeactivate,
    IntegrityCheck,
    IntegrityReport,
    *get_args(AuthCommand),
)
"""What a corrupt cluster still accepts. As in etcd, keeping a lease alive is no change."""


class AlarmTable:
    """The alarms that stand; `is_refusing` while one of them refuses anything."""

    def __init__(self, alarms: Iterable[AlarmMember]) -> None:
        self._alarms = set(alarms)
        self._is_changed = False
        self.is_refusing = self._has_refusing()

    def __iter__(self) -> Iterator[AlarmMember]:
        """In the order of members."""
        return iter(sorted(self._alarms))

    def of(self, kind: AlarmType) -> tuple[AlarmMember, ...]:
        """The alarms of one kind, in the order of members; NONE stands for all kinds."""
        return tuple([alarm for alarm in self if kind in (AlarmType.NONE, alarm.alarm)])

    def __contains__(self, alarm: AlarmMember) -> bool:
        return alarm in self._alarms

    def activate(self, command: AlarmActivate) -> tuple[AlarmMember, ...]:
        """Raise an alarm and return it, even if it stands already; NONE raises nothing."""
        alarm = AlarmMember(*command)
        if alarm.alarm is AlarmType.NONE:
            return ()
        self._alarms.add(alarm)
        self._touch()
        return (alarm,)

    def deactivate(self, command: AlarmDeactivate) -> tuple[AlarmMember, ...]:
        """Clear alarms and return those that stood; member 0 and kind NONE stand for all."""
        member_id, kind = command
        cleared = [
            alarm
            for alarm in self
            if member_id in (0, alarm.member_id) and kind in (AlarmType.NONE, alarm.alarm)
        ]
        self._alarms.difference_update(cleared)
        self._touch()
        return tuple(cleared)

    def forget(self, member_ids: Iterable[int]) -> None:
        """Clear the alarms of members that were removed: nobody else would."""
        gone = set(member_ids)
        self._alarms = {alarm for alarm in self._alarms if alarm.member_id not in gone}
        self._touch()

    def refusal(self, command: Command) -> Failure | None:
        """Why a command is refused now, or None."""
        kinds = {alarm.alarm for alarm in self._alarms}
        if AlarmType.CORRUPT in kinds and not isinstance(command, _NO_CHANGES):
            return CORRUPT
        if AlarmType.NOSPACE in kinds and cost_of(command):
            return NO_SPACE
        return None

    def take_changes(self) -> tuple[AlarmMember, ...] | None:
        """All alarms if any of them changed since the last call, else None."""
        if not self._is_changed:
            return None
        self._is_changed = False
        return tuple(self)

    def _touch(self) -> None:
        self._is_changed = True
        self.is_refusing = self._has_refusing()

    def _has_refusing(self) -> bool:
        return any(alarm.alarm in _REFUSING for alarm in self._alarms)
