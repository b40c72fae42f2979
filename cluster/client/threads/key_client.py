"""The client of keys for threads: what most commands of leasectl need, and `Client` begins with."""

from __future__ import annotations

from typing import Any, Self, TypeVar

from cluster.client.flows import key_client as flows
from cluster.client.flows.keys import KeyApi
from cluster.client.requests import Key
from cluster.client.results import Data
from cluster.client.threads.blocking import (
    Blocking,
    blocking,
    direct,
    pipelined,
    seen,
    synchronous,
)
from cluster.client.threads.shell import ThreadShell

Twin_co = TypeVar("Twin_co", bound=flows.KeyClient[Any], covariant=True)


class KeyTwin(flows.KeyClient[Data]):
    """What stands behind a client of keys; it takes the arguments of `Client`."""

    _shell = ThreadShell


class KeyClient(Blocking[Twin_co]):
    __doc__ = synchronous(flows.KeyClient.__doc__)

    endpoints = seen(flows.KeyClient.endpoints)
    request = blocking(flows.KeyClient.request)
    request_async = pipelined(flows.KeyClient.request_async)

    def namespace(self, prefix: Key) -> Self:
        inside = type(self).__new__(type(self))
        Blocking.__init__(inside, self._flow.namespace(prefix))
        return inside

    namespace.__doc__ = synchronous(flows.KeyClient.namespace.__doc__)

    # --- the state of the connection ---

    log_in = blocking(flows.KeyClient.log_in)
    state = seen(flows.KeyClient.state)
    add_listener = direct(flows.KeyClient.add_listener)
    remove_listener = direct(flows.KeyClient.remove_listener)

    # --- keys ---

    put = blocking(KeyApi.put)
    get = blocking(KeyApi.get)
    range = blocking(KeyApi.range)
    get_prefix = blocking(KeyApi.get_prefix)
    delete = blocking(KeyApi.delete)
    increment = blocking(KeyApi.increment)
    history = blocking(KeyApi.history)
    compact = blocking(KeyApi.compact)
    put_async = pipelined(KeyApi.put_async)
    get_async = pipelined(KeyApi.get_async)
    delete_async = pipelined(KeyApi.delete_async)

    # --- the end ---

    close = blocking(flows.KeyClient.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


BytesKeyClient = KeyClient[flows.KeyClient[bytes]]
"""A client of keys whose keys and values are bytes; a `Client` is one, too."""
