"""The client's methods for the cluster itself: members, leader, status, hashes, alarms, disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import BinaryIO, Final

from cluster.client import replies, results
from cluster.client.flows import members
from cluster.client.flows.caller import Api
from cluster.client.requests import request
from cluster.protocol import AlarmName

_ALARMS: Final = replies.of(results.AlarmResult)

SLOW_SECONDS: Final = 300.0
"""How long a node may work on its whole data before the request counts as failed."""


class UpkeepApi(Api):
    """The operations on members, and on single nodes."""

    async def member_list(self, *, linearizable: bool = True) -> results.MemberListResult:
        """The members of the cluster; not linearizable: as the node that is asked knows them."""
        fields = request("member_list", linearizable=linearizable)
        return await self._caller.request(fields, replies.of(results.MemberListResult))

    async def member_add(
        self, peer_urls: str | Iterable[str], *, learner: bool = False, key: str = ""
    ) -> results.MemberAddResult:
        """Add a member that the others will reach at these URLs.

        Start it afterwards, with `--initial-cluster-state existing`. A learner has no vote until it
        is promoted. `key` is its public key, where members have keys.
        """
        return await members.add(self._caller, peer_urls, learner, key)

    async def member_remove(self, member_id: int) -> results.MemberListResult:
        """Remove a member for good; its process ends by itself. NotFoundError if there is none."""
        return await members.remove(self._caller, member_id)

    async def member_replace(
        self, member_id: int, peer_urls: str | Iterable[str], *, key: str = ""
    ) -> results.MemberAddResult:
        """Remove a member and add one at these URLs in one step, so the number of voters stays.

        `key` is the new one's public key, where members have keys.
        """
        return await members.replace(self._caller, member_id, peer_urls, key)

    async def member_update(
        self, member_id: int, peer_urls: str | Iterable[str]
    ) -> results.MemberListResult:
        """Change the URLs at which the others reach a member."""
        return await members.update(self._caller, member_id, peer_urls)

    async def member_promote(self, member_id: int) -> results.MemberListResult:
        """Make a learner a voter; FailedPreconditionError until it has caught up."""
        return await members.promote(self._caller, member_id)

    async def member_rotate_key(self, member_id: int) -> results.MemberListResult:
        """Have a member make another key; it must be one of the client's endpoints.

        It answers when the others know the next key. The former one counts until all of them do.
        """
        return await members.rotate_key(self._caller, member_id, self._caller.timeout)

    async def move_leader(self, member_id: int) -> results.MoveLeaderResult:
        """Hand the lead over to a member. The leader must be one of the client's endpoints."""
        return await members.move_leader(self._caller, member_id, self._caller.timeout)

    # --- single nodes ---

    async def status(self, endpoint: str | None = None) -> results.StatusResult:
        """The state of one node: of the endpoint named, or of the one that the client uses."""
        pinned = self._caller.known(endpoint)
        decode = replies.of(results.StatusResult)
        return await self._caller.request(request("status"), decode, pinned=pinned)

    async def hash(self, endpoint: str | None = None) -> results.HashResult:
        """A hash of all that one node holds, to see whether it has changed."""
        fields, decode = request("hash"), replies.of(results.HashResult)
        pinned = self._caller.known(endpoint)
        return await self._caller.request(fields, decode, pinned=pinned, timeout=SLOW_SECONDS)

    async def hash_kv(self, endpoint: str | None = None, revision: int = 0) -> results.HashKvResult:
        """A hash of one node's data up to a revision (0: its latest); equal on all members."""
        fields = request("hash_kv", revision=revision)
        decode = replies.of(results.HashKvResult)
        pinned = self._caller.known(endpoint)
        return await self._caller.request(fields, decode, pinned=pinned, timeout=SLOW_SECONDS)

    async def defragment(self, endpoint: str | None = None) -> results.DefragmentResult:
        """Have one node give unused disk space back. It goes on serving meanwhile."""
        fields, decode = request("defragment"), replies.of(results.DefragmentResult)
        pinned = self._caller.known(endpoint)
        return await self._caller.request(fields, decode, pinned=pinned, timeout=SLOW_SECONDS)

    async def snapshot_save(
        self, target: str | os.PathLike[str] | BinaryIO, endpoint: str | None = None
    ) -> results.SnapshotResult:
        """Save the data of one node to a path, or to a file that is open for writing bytes.

        An existing file at the path is replaced once the whole snapshot is on disk. Lost parts are
        fetched again, and the SHA-256 of the whole is checked. Without `endpoint`, the client tries
        its endpoints in order.
        """
        from cluster.client.flows import snapshot  # noqa: PLC0415 - few programs save one

        return await snapshot.save(self._caller, target, self._caller.known(endpoint))

    # --- alarms ---

    async def alarm_list(self) -> results.AlarmResult:
        """The alarms that are raised and not cleared."""
        return await self._caller.request(request("alarm", action="GET"), _ALARMS)

    async def alarm_activate(self, member_id: int, alarm: AlarmName) -> results.AlarmResult:
        """Raise an alarm for a member, as it would by itself."""
        return await self._alarm("ACTIVATE", member_id, alarm)

    async def alarm_disarm(
        self, member_id: int = 0, alarm: AlarmName = "NONE"
    ) -> results.AlarmResult:
        """Clear an alarm of a member; the alarms cleared. 0 is every member, NONE every alarm."""
        return await self._alarm("DEACTIVATE", member_id, alarm)

    async def _alarm(self, action: str, member_id: int, alarm: AlarmName) -> results.AlarmResult:
        fields = request("alarm", action=action, memberID=member_id, alarm=alarm)
        # Needs no session: to raise or clear an alarm twice is the same as once.
        reply = await self._caller.ask(self._caller.repeatable_call(fields))
        return replies.read(_ALARMS, reply)
