"""Transactions that a client commits: the builder of `ops`, with a cluster to send it to."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from cluster.client import ops
from cluster.client.replies import txn_result
from cluster.client.results import TxnResult

if TYPE_CHECKING:
    from cluster.client.caller import Caller


class ClientTxn(ops.Txn):
    """A transaction in the making; `commit` sends it, and may do so again.

    It is committed exactly once, as every write is. One that only reads changes nothing, needs no
    session, and may be answered by any node.
    """

    def __init__(self, caller: Caller) -> None:
        super().__init__()
        self._caller = caller

    def commit(self) -> TxnResult:
        """Do it; `succeeded` says whether the compares held.

        If one operation cannot be done none is, and its error is raised (InvalidArgumentError for a
        key that is put twice or too many operations, LeaseNotFoundError, CompactedError, ...).
        """
        return self._caller.request(self.fields(), txn_result, write=self.writes)

    def commit_async(self) -> Future[TxnResult]:
        """Begin to commit it and return at once."""
        return self._caller.request_async(self.fields(), txn_result, write=self.writes)
