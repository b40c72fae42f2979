"""Changes of the members and of the leader, and how such a change is repeated safely.

These changes carry no session. If an attempt's answer was lost, the repetition is refused because
the change is done already ("member not found", for a removal): that refusal then counts as success.
Sends requests through a Caller, and refuses to know sockets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cluster.addresses import AddressError, member_urls
from cluster.client import replies, results
from cluster.client.engine.call import Call
from cluster.client.engine.core import Core
from cluster.client.flows.shell import ANSWER_GRACE_SECONDS, Arrivals
from cluster.client.requests import request
from cluster.curve import parse_key
from cluster.errors import (
    InvalidArgumentError,
    LeaseholdError,
    NoLeaderEndpointError,
    UnavailableError,
)
from cluster.faults import FAULTS, name_of

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller

T = TypeVar("T")

_ADDED: Final = replies.of(results.MemberAddResult)
_LISTED: Final = replies.of(results.MemberListResult)
_STATUS: Final = replies.of(results.StatusResult)

SEARCH_AGAIN_SECONDS: Final = 0.05
"""The pause before the leader is looked for again, while there is none."""


async def add(
    client: Caller, peer_urls: str | Iterable[str], learner: bool, key: str
) -> results.MemberAddResult:
    """Add a member."""
    urls = _checked(peer_urls)
    fields = request("member_add", peerURLs=urls, isLearner=learner, **_key(key))

    def done(listed: results.MemberListResult) -> results.MemberAddResult | None:
        return _newcomer(listed, urls, learner)

    return await _change(client, fields, _ADDED, "PeerURLExist", done)


async def replace(
    client: Caller, member_id: int, peer_urls: str | Iterable[str], key: str
) -> results.MemberAddResult:
    """Remove a member and add another in one step."""
    urls = _checked(peer_urls)
    fields = request("member_replace", ID=member_id, peerURLs=urls, **_key(key))

    def done(listed: results.MemberListResult) -> results.MemberAddResult | None:
        gone = all(member.id != member_id for member in listed.members)
        return _newcomer(listed, urls, False) if gone else None

    return await _change(client, fields, _ADDED, "MemberNotFound", done)


async def remove(client: Caller, member_id: int) -> results.MemberListResult:
    """Remove a member."""
    fields = request("member_remove", ID=member_id)
    # "Member not found" after a lost answer: this call removed the member, or somebody else did.
    # Either way it is gone, as was asked.
    return await _change(client, fields, _LISTED, "MemberNotFound", lambda listed: listed)


async def update(
    client: Caller, member_id: int, peer_urls: str | Iterable[str]
) -> results.MemberListResult:
    """Change the URLs of a member. Repeating it changes nothing."""
    fields = request("member_update", ID=member_id, peerURLs=_checked(peer_urls))
    return await _change(client, fields, _LISTED)


async def promote(client: Caller, member_id: int) -> results.MemberListResult:
    """Make a learner a voter."""
    fields = request("member_promote", ID=member_id)
    return await _change(client, fields, _LISTED, "MemberNotLearner", lambda listed: listed)


async def rotate_key(client: Caller, member_id: int, timeout: float) -> results.MemberListResult:
    """Find the member among the client's endpoints, and have it make another key."""
    left = _left(time.monotonic() + timeout)
    answers = _ask_all(client, left)
    silent: LeaseholdError | None = None
    for _ in client.endpoints:
        call = await answers.get(left + ANSWER_GRACE_SECONDS)
        if call.reply is None:
            silent = call.error
        elif replies.read(_STATUS, call.reply).header.member_id == member_id:
            fields = request("member_rotate_key", ID=member_id)
            return await client.request(fields, _LISTED, pinned=call.pinned)
    if silent is not None:
        raise silent
    listed = " ".join(client.endpoints)
    raise InvalidArgumentError(f"member {member_id:x} is not one of the endpoints [{listed}]")


async def move_leader(client: Caller, target: int, timeout: float) -> results.MoveLeaderResult:
    """Find the leader among the client's endpoints and have it hand over to `target`."""
    deadline = time.monotonic() + timeout
    fields = request("move_leader", targetID=target)
    while True:
        found = await _leader(client, deadline)
        if found is not None:
            source, endpoint = found
            call = Call(fields, _left(deadline), write=True, pinned=endpoint)
            call.repeatable = True
            try:
                await client.ask(call)
                return results.MoveLeaderResult(source, target)
            except LeaseholdError as error:
                # Another member leads by now: look for it, and ask it to hand over.
                if name_of(error.message) != "NotLeader":
                    raise
        if time.monotonic() + SEARCH_AGAIN_SECONDS > deadline:
            raise UnavailableError(FAULTS["NoLeader"].message)
        await client.shell.sleep(SEARCH_AGAIN_SECONDS)


async def _leader(client: Caller, deadline: float) -> tuple[int, str] | None:
    """The leader's id and its endpoint; None while there is no leader.

    All endpoints are asked at once. NoLeaderEndpointError when the leader is not one of them.
    """
    left = _left(deadline)
    answers = _ask_all(client, left)
    silent: LeaseholdError | None = None
    is_elsewhere = False
    for _ in client.endpoints:
        call = await answers.get(left + ANSWER_GRACE_SECONDS)
        if call.reply is None:
            silent = call.error
            continue
        status = replies.read(_STATUS, call.reply)
        if status.leader == status.header.member_id:
            assert call.pinned is not None, "each call asks one endpoint"
            return status.leader, call.pinned
        is_elsewhere = is_elsewhere or status.leader != 0
    if silent is not None:
        raise silent
    if is_elsewhere:
        raise NoLeaderEndpointError(f"no leader endpoint given at [{' '.join(client.endpoints)}]")
    return None


def _ask_all(client: Caller, left: float) -> Arrivals[Call]:
    """Ask all endpoints for their status; the calls, as they end."""
    answers: Arrivals[Call] = client.shell.arrivals()
    for endpoint in client.endpoints:
        call = Call(request("status"), left, pinned=endpoint)
        call.on_done = lambda done, when: answers.put(done)
        client.connection().run(partial(_begin, call))
    return answers


def _key(text: str) -> dict[str, str]:
    """The field for a new member's key; there is none where members have no keys."""
    try:
        return {"member_key": parse_key(text)} if text else {}
    except ValueError as error:
        raise InvalidArgumentError(str(error)) from None


def _begin(call: Call, core: Core, now: float) -> None:
    core.calls.begin(call, now)


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


async def _change(
    client: Caller,
    fields: dict[str, Any],
    decode: Callable[[replies.Reply], T],
    done_name: str = "",
    done: Callable[[results.MemberListResult], T | None] = lambda listed: None,
) -> T:
    """Send a change; after a lost answer, the refusal `done_name` may mean that it was done."""
    call = client.repeatable_call(fields)
    try:
        reply = await client.ask(call)
    except LeaseholdError as error:
        if not call.uncertain or name_of(error.message) != done_name:
            raise
        listed = await client.request(request("member_list", linearizable=True), _LISTED)
        result = done(listed)
        if result is None:
            raise
        return result
    return replies.read(decode, reply)


def _newcomer(
    listed: results.MemberListResult, urls: tuple[str, ...], learner: bool
) -> results.MemberAddResult | None:
    """The member that a lost answer was about: one with these URLs that has not started yet."""
    for member in listed.members:
        if (member.name, member.peer_urls, member.is_learner) == ("", urls, learner):
            return results.MemberAddResult(listed.header, member, listed.members)
    return None


def _checked(peer_urls: str | Iterable[str]) -> tuple[str, ...]:
    """The URLs in the form in which members keep them; InvalidArgumentError says what is wrong."""
    texts = peer_urls.split(",") if isinstance(peer_urls, str) else list(peer_urls)
    try:
        return member_urls([text.strip() for text in texts])
    except AddressError as error:
        raise InvalidArgumentError(str(error)) from None
