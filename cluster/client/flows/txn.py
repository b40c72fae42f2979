"""ClientTxn: the transaction builder of `ops`, which can send the transaction to the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from cluster.client import ops
from cluster.client.results import Data, TxnResult

if TYPE_CHECKING:
    from asyncio import Future

    from cluster.client.flows.caller import Caller
    from cluster.client.forms import DataForm


class ClientTxn(ops.Txn, Generic[Data]):
    """A transaction to build; `commit` sends it. Each call of `commit` is a new request.

    A request is applied exactly once, as every write is. A transaction that only reads needs no
    session, and any node may answer it.
    """

    def __init__(self, caller: Caller, form: DataForm[Data]) -> None:
        super().__init__()
        self._caller = caller
        self._form = form

    async def commit(self) -> TxnResult[Data]:
        """Commit the transaction; `succeeded` says whether the compares held.

        If one operation fails, none is applied, and its error is raised: InvalidArgumentError for a
        key that is put twice or too many operations, LeaseNotFoundError, CompactedError, ...
        """
        return await self._caller.request(self.fields(), self._form.txn, write=self.writes)

    def commit_async(self) -> Future[TxnResult[Data]]:
        """Begin to commit it and return at once."""
        return self._caller.begin(self.fields(), self._form.txn, write=self.writes)
