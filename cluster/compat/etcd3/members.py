"""The calls for the cluster and its members: members, alarms, status, disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, NamedTuple

from cluster.client import results
from cluster.compat.etcd3.calls import Calls
from cluster.compat.etcd3.etcdrpc import NOSPACE, AlarmType
from cluster.compat.etcd3.exceptions import translated

_ALARMS: Final = {"none": AlarmType.NONE, "no space": AlarmType.NOSPACE}


class Alarm(NamedTuple):
    """An alarm, of `etcdrpc.AlarmType`, and the member that it is of; 0 for no single one."""

    alarm_type: AlarmType
    member_id: int


class Status(NamedTuple):
    """The state of the node that answered; `leader` is None when it knows none."""

    version: str
    db_size: int
    leader: Member | None
    raft_index: int
    raft_term: int


class MemberCalls(Calls):
    """The calls for the cluster and its members."""

    @property
    def members(self) -> Iterator[Member]:
        """The members of the cluster."""
        return iter(self._members())

    @translated
    def add_member(self, urls: Iterable[str]) -> Member:
        """Add a member that the others will reach at these URLs."""
        return self._member(self._client.member_add(list(urls)).member)

    @translated
    def remove_member(self, member_id: int) -> None:
        """Remove a member."""
        self._client.member_remove(member_id)

    @translated
    def update_member(self, member_id: int, peer_urls: Iterable[str]) -> None:
        """Change the URLs at which the others reach a member."""
        self._client.member_update(member_id, list(peer_urls))

    @translated
    def status(self) -> Status:
        """The state of a node."""
        found = self._client.status()
        leader = next((each for each in self._members() if each.id == found.leader), None)
        return Status(found.version, found.db_size, leader, found.raft_index, found.raft_term)

    @translated
    def hash(self) -> int:
        """A hash of all that a node holds."""
        return self._client.hash().hash

    @translated
    def defragment(self) -> None:
        """Have a node give unused disk space back."""
        self._client.defragment()

    @translated
    def snapshot(self, file_obj: BinaryIO) -> None:
        """Write a snapshot of the data to a file that is open for bytes."""
        self._client.snapshot_save(file_obj)

    # --- alarms ---

    @translated
    def create_alarm(self, member_id: int = 0) -> list[Alarm]:
        """Raise the alarm NOSPACE for a member, or 0 for no single one."""
        return _alarms(self._client.alarm_activate(member_id, NOSPACE.name))

    @translated
    def list_alarms(self, member_id: int = 0, alarm_type: str = "none") -> Iterator[Alarm]:
        """The alarms that are raised: of one member or all (0), "no space" ones or all ("none")."""
        if alarm_type not in _ALARMS:
            known = " or ".join(map(repr, _ALARMS))
            raise ValueError(f"alarm_type must be {known}, not {alarm_type!r}")
        wanted = _ALARMS[alarm_type]
        found = _alarms(self._client.alarm_list())
        return iter(
            [
                alarm
                for alarm in found
                if member_id in {0, alarm.member_id}
                and wanted in {_ALARMS["none"], alarm.alarm_type}
            ]
        )

    @translated
    def disarm_alarm(self, member_id: int = 0) -> list[Alarm]:
        """Clear the alarm NOSPACE of a member, or of all (0); the alarms cleared."""
        return _alarms(self._client.alarm_disarm(member_id, NOSPACE.name))

    @translated
    def _members(self) -> list[Member]:
        return [self._member(each) for each in self._client.member_list().members]

    def _member(self, member: results.Member) -> Member:
        urls = list(member.peer_urls), list(member.client_urls)
        return Member(member.id, member.name, *urls, etcd_client=self)


class Member:
    """A member of the cluster, and what to do with it."""

    def __init__(
        self,
        id: int,  # noqa: A002 - python-etcd3's name
        name: str,
        peer_urls: list[str],
        client_urls: list[str],
        etcd_client: MemberCalls,
    ) -> None:
        self.id = id
        self.name = name
        self.peer_urls = peer_urls
        self.client_urls = client_urls
        self._etcd_client = etcd_client

    def remove(self) -> None:
        """Remove this member from the cluster."""
        self._etcd_client.remove_member(self.id)

    def update(self, peer_urls: Iterable[str]) -> None:
        """Change the URLs at which the others reach this member."""
        self._etcd_client.update_member(self.id, peer_urls)

    @property
    def active_alarms(self) -> Iterator[Alarm]:
        """The alarms of this member."""
        return self._etcd_client.list_alarms(member_id=self.id)

    def __repr__(self) -> str:
        return f"Member({self.id}, {self.name!r}, {self.peer_urls}, {self.client_urls})"


def _alarms(found: results.AlarmResult) -> list[Alarm]:
    return [Alarm(AlarmType[each.alarm], each.member_id) for each in found.alarms]
