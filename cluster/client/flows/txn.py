"""ClientTxn: the transaction builder of `ops`, which can send the transaction to the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.client import ops
from cluster.client.replies import txn_result
from cluster.client.results import TxnResult

if TYPE_CHECKING:
    from asyncio import Future

    from cluster.client.flows.caller import Caller


class ClientTxn(ops.Txn):
    """A transaction to build; `commit` sends it. Each call of `commit` is a new request.

    A request is applied exactly once, as every write is. A transaction that only reads needs no
    session, and any node may answer it.
    """

    def __init__(self, caller: Caller) -> None:
        super().__init__()
        self._caller = caller

    async def commit(self) -> TxnResult:
        """Commit the transaction; `succeeded` says whether the compares held.

        If one operation fails, none is applied, and its error is raised: InvalidArgumentError for a
        key that is put twice or too many operations, LeaseNotFoundError, CompactedError, ...
        """
        return await self._caller.request(self.fields(), txn_result, write=self.writes)

    def commit_async(self) -> Future[TxnResult]:
        """Begin to commit it and return at once."""
        return self._caller.begin(self.fields(), txn_result, write=self.writes)
