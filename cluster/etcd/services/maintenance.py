"""Status and Downgrade, where etcd's clients are told something else than the node says."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

from cluster.etcd.rpc.status import RpcError
from cluster.etcd.services.calls import Reply, Request
from cluster.etcd.services.recipes import Recipe
from cluster.etcd.services.unary import Unary
from cluster.etcd.versions import SERVER_VERSION
from cluster.faults import FAILED_PRECONDITION, INVALID_ARGUMENT, UNKNOWN, Fault

NO_DOWNGRADE: Final = Fault(FAILED_PRECONDITION, "etcdserver: no inflight downgrade job")
BAD_VERSION: Final = Fault(INVALID_ARGUMENT, "etcdserver: wrong downgrade target version format")
BAD_TARGET: Final = Fault(INVALID_ARGUMENT, "etcdserver: invalid downgrade target version")
UNKNOWN_METHOD: Final = Fault(UNKNOWN, "etcdserver: unknown method")


class _Action(IntEnum):
    """DowngradeRequest.DowngradeAction."""

    VALIDATE = 0
    ENABLE = 1
    CANCEL = 2


_VERSION: Final = re.compile(r"\d+\.\d+(\.\d+)?", re.ASCII)


class StatusCall(Unary):
    """Serves Status: the node's, with a version that etcd's clients know."""

    def _answer(self, reply: Reply) -> Reply:
        return {**reply, "version": SERVER_VERSION}


async def downgrade(recipe: Recipe, request: Request) -> None:
    """Refuse: there is no earlier version to go back to, and no downgrade under way."""
    match request.get("action", _Action.VALIDATE):
        case _Action.VALIDATE | _Action.ENABLE:
            is_version = _VERSION.fullmatch(request.get("version", ""))
            raise RpcError(*(BAD_TARGET if is_version else BAD_VERSION))
        case _Action.CANCEL:
            raise RpcError(*NO_DOWNGRADE)
        case _:
            raise RpcError(*UNKNOWN_METHOD)
