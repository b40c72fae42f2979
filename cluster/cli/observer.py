"""Observer: looks at all members of a cluster, wherever they are, from a few of its endpoints.

The endpoints say who the members are; the members are asked at the addresses that they advertise,
if no endpoint given leads to them. It makes a ClusterView of the answers, waits for nothing, and
refuses to know how that is shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import zmq

from cluster.client.engine.endpoints import address
from cluster.client.engine.login import NOT_LOGGED_IN
from cluster.client.identity import NO_IDENTITY, ClientIdentity
from cluster.client.ways import Ways
from cluster.faults import name_of
from cluster.launcher.nodes.probe import NodeStatus, OrderAnswered, ProbeLink, leader_among
from cluster.launcher.screens.asking import Asking
from cluster.launcher.screens.view import ClusterView, NodeView, role_of, view_with
from cluster.launcher.screens.vitals import UNKNOWN
from cluster.schemes import HTTP, HTTPS, TCP

STATUS_SECONDS: Final = 0.5
MEMBERS_SECONDS: Final = 3.0

LOGIN_SECONDS: Final = 3.0
"""How soon to log in again where that was not answered, or is not needed."""

SILENT_SECONDS: Final = 2.0
"""A node that has not answered for this time is shown as silent."""

LINKS_MAX: Final = 128


class _Node:
    """The way to one node, and what it has answered."""

    def __init__(self, link: ProbeLink, endpoint: str, where: str) -> None:
        self.link = link
        self.endpoint = endpoint
        self.address = where
        self.status: NodeStatus | None = None
        self.status_at = float("-inf")
        self.listing: int | None = None
        self.login: int | None = None

    def is_silent(self, now: float) -> bool:
        return now - self.status_at > SILENT_SECONDS


class Observer:
    """A cluster seen from outside. `endpoints` are addresses by how they were written.

    `identity` is shown to nodes whose addresses name their keys, and to those inside TLS. With
    `credentials`, a name and a password, it logs in, as long as the nodes check who asks.
    """

    def __init__(
        self,
        endpoints: Mapping[str, str],
        identity: ClientIdentity = NO_IDENTITY,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self._pair = identity.pair
        self._ways = Ways(identity.tls)
        self._credentials = credentials
        self._shown: dict[str, str] = {}
        self._login_due = 0.0
        # Members may have keys for each other alone: then clients go without.
        self._uses_keys = any("#" in where for where in endpoints.values())
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._asking = Asking()
        # By endpoint; the endpoint is also the name under which Asking knows the node.
        self._nodes: dict[str, _Node] = {}
        self._members: dict[int, Mapping[str, Any]] = {}
        self._status_due = 0.0
        self._members_due = 0.0
        for endpoint, where in endpoints.items():
            self._connect(endpoint, where)

    @property
    def has_answers(self) -> bool:
        """Whether any node has ever answered."""
        return any(node.status is not None for node in self._nodes.values())

    @property
    def has_found_all(self) -> bool:
        """Whether all members are known, and each has answered once."""
        answered = all(node.status is not None for node in self._nodes.values())
        return answered and bool(self._members)

    def serve(self, until: float, descriptors: Iterable[int] = ()) -> set[int]:
        """Ask what is due, wait for answers or a descriptor, at most until then, and take them.

        Returns the descriptors that are readable. It returns early when there is more to ask.
        """
        self._ask(time.monotonic())
        ready = self._wait(until, descriptors)
        self._take(time.monotonic())
        return ready

    def view(self, now: float) -> ClusterView:
        """All members that are known, by name, and the endpoints of which nothing is known yet."""
        leader = self._leader(now)
        rows = [self._row(name, node, leader, now) for name, node in self._nodes.items()]
        leads = None if leader is None else self._name(leader)
        return view_with(leads, sorted(rows, key=lambda row: row.name))

    def reason(self, endpoint: str) -> str:
        """Why an endpoint cannot be reached inside TLS; "" if nothing is known."""
        node = self._nodes.get(endpoint)
        return "" if node is None else self._ways.reason(node.address)

    def close(self) -> None:
        """Close all links."""
        self._context.destroy(linger=0)
        self._ways.close()

    # --- asking ---

    def _wait(self, until: float, descriptors: Iterable[int]) -> set[int]:
        poller = zmq.Poller()
        for node in self._nodes.values():
            poller.register(node.link.socket, zmq.POLLIN)
        for descriptor in descriptors:
            poller.register(descriptor, zmq.POLLIN)
        seconds = max(0.0, min(until, self._status_due, self._asking.due) - time.monotonic())
        found = poller.poll(int(seconds * 1000 + 0.999))
        return {each for each, _ in found if isinstance(each, int)}

    def _ask(self, now: float) -> None:
        if now >= self._status_due:
            self._status_due = now + STATUS_SECONDS
            for node in self._nodes.values():
                node.link.ask_status()
        links = {name: node.link for name, node in self._nodes.items() if not node.is_silent(now)}
        self._asking.ask(links, now)
        if not links:
            return
        # The node that answered last is the likeliest to answer.
        latest = max((self._nodes[name] for name in links), key=lambda node: node.status_at)
        if now >= self._members_due:
            latest.listing = latest.link.give_order({"op": "member_list"})
            self._members_due = now + MEMBERS_SECONDS
        if self._credentials is not None and not self._shown and now >= self._login_due:
            name, password = self._credentials
            order = {"op": "authenticate", "name": name, "password": password}
            latest.login = latest.link.give_order(order)
            self._login_due = now + LOGIN_SECONDS

    def _take(self, now: float) -> None:
        for name, node in list(self._nodes.items()):
            for answer in node.link.answers():
                if isinstance(answer, NodeStatus):
                    node.status, node.status_at = answer, now
                elif isinstance(answer, OrderAnswered):
                    self._take_answer(name, node, answer, now)
        self._drop_doubles()

    def _take_answer(self, name: str, node: _Node, answer: OrderAnswered, now: float) -> None:
        if name_of(answer.error) in NOT_LOGGED_IN:
            self._show({})
        if self._asking.answered(name, answer, now) or answer.error:
            return
        if answer.number == node.listing:
            self._note_members(answer.reply["members"])
        elif answer.number == node.login:
            self._show({"token": answer.reply["token"]})

    def _show(self, shown: dict[str, str]) -> None:
        """Say who asks in this way from now on."""
        self._shown = shown
        for node in self._nodes.values():
            node.link.shown = shown

    # --- who is there ---

    def _connect(self, endpoint: str, where: str) -> None:
        link = ProbeLink(self._context, self._ways.to(where), self._pair)
        link.shown = self._shown
        self._nodes[endpoint] = _Node(link, endpoint, where)

    def _note_members(self, members: list[Mapping[str, Any]]) -> None:
        self._members = {member["ID"]: member for member in members}
        found = [member["ID"] for each in self._nodes.values() if (member := self._member(each))]
        for member_id, member in self._members.items():
            if member_id not in found and len(self._nodes) < LINKS_MAX:
                self._connect_to(member)
        for name, node in list(self._nodes.items()):
            if node.status is not None and node.status.member_id not in self._members:
                self._drop(name)  # it was removed

    def _connect_to(self, member: Mapping[str, Any]) -> None:
        for where in self._addresses(member):
            endpoint = where.removeprefix(TCP)
            if endpoint not in self._nodes:
                self._connect(endpoint, where)
            return

    def _drop_doubles(self) -> None:
        """Two ways to one node, such as a name and a number: the first one stays."""
        seen: set[int] = set()
        for name, node in list(self._nodes.items()):
            if node.status is not None:
                if node.status.member_id in seen:
                    self._drop(name)
                seen.add(node.status.member_id)

    def _drop(self, name: str) -> None:
        self._asking.forget(name)
        self._nodes.pop(name).link.close()

    # --- what they say ---

    def _leader(self, now: float) -> str | None:
        """The endpoint of the node that says it leads, in the highest term."""
        return leader_among(
            {
                name: node.status
                for name, node in self._nodes.items()
                if node.status is not None and not node.is_silent(now)
            }
        )

    def _name(self, endpoint: str) -> str:
        """A member's name; its endpoint where the member is not known, or has no name."""
        member = self._member(self._nodes[endpoint])
        return str(member["name"]) if member is not None and member["name"] else endpoint

    def _member(self, node: _Node) -> Mapping[str, Any] | None:
        """The member that a node is: as it says itself, else as others say who is there."""
        if node.status is not None:
            return self._members.get(node.status.member_id)
        there = (each for each in self._members.values() if node.address in self._addresses(each))
        return next(there, None)

    def _member_name(self, member_id: int | None) -> str | None:
        member = self._members.get(member_id) if member_id else None
        if member is not None and member["name"]:
            return str(member["name"])
        return f"{member_id:x}" if member_id else None

    def _addresses(self, member: Mapping[str, Any]) -> list[str]:
        """Where a member is reached; first by its front, at the address that people know."""
        keys = member.get("keys") if self._uses_keys else None
        pin = f"#{keys[-1]}" if keys else ""
        found: list[str] = []
        for url in sorted(member["clientURLs"], key=lambda url: not url.startswith(HTTP)):
            # Who asks inside TLS asks all members there, and others none.
            if url.startswith(HTTPS) is not self._ways.are_secure:
                continue
            if pin and not url.startswith(TCP):
                continue  # a front that knows no keys lets nobody in by one
            with suppress(ValueError):  # it advertises what nobody can reach
                found.append(address(url) + pin)
        return found

    def _row(self, name: str, node: _Node, leader: str | None, now: float) -> NodeView:
        status, is_silent = node.status, node.is_silent(now)
        vitals = UNKNOWN if is_silent else self._asking.vitals.of(name, leader, now)
        told = status if not is_silent else None
        row = NodeView(
            name=self._name(name),
            state="silent" if told is None else role_of(told, name == leader),
            term=told.term if told else None,
            revision=told.revision if told else None,
            pid=0,
            endpoint=node.endpoint.partition("#")[0],
            note="",
        )
        return row.with_vitals(vitals, self._member_name(vitals.vote))
