"""Client: all that a program calls, for both shells. `cluster.aio.Client` is this class itself."""

from __future__ import annotations

from cluster.client.flows.access import AccessApi
from cluster.client.flows.key_client import KeyClient
from cluster.client.flows.recipes import RecipeApi
from cluster.client.flows.upkeep import UpkeepApi
from cluster.client.results import Data


class Client(KeyClient[Data], RecipeApi[Data], UpkeepApi, AccessApi):
    """A connection to a cluster; any one of its endpoints is enough.

    Where a method takes a `Key`, it takes str or bytes; where it takes a `Named`, a Lease.

    `endpoints`: `host:port` (or `tcp://`, `http://`: plain TCP too), a list of them or one string
    with commas; by default $LEASECTL_ENDPOINTS, else 127.0.0.1:2379. The first request connects.
    `dial_timeout` limits the wait for a first connection, `timeout` each request; both are in
    seconds. Each `keepalive_time` seconds a node is asked for a sign of life; when none comes for
    `keepalive_timeout` seconds, its connection is closed, and made anew.
    The client retries writes by itself, and they are still applied once. This takes a session; with
    `exactly_once=False` there is none, and an interrupted write raises OutcomeUnknownError.
    Where a member advertises a `tcp://` URL beside the `http://` URL of its front, requests soon go
    there directly, which is faster; not with `direct=False`.
    An endpoint with `https://`, or with files of TLS one without a scheme, is reached inside TLS:
    the node's certificate must be signed by `ca_cert` (else by an authority of the system), for the
    host of the endpoint. `cert` and `key` show the node who the client is. All are paths of PEM.
    `insecure_skip_verify` believes any certificate.
    With a `user` and the `password` the client logs in when it needs to, and again when its token
    has ended.
    `host:port#KEY` names the key of a node, which nobody else has: the connection is sealed for it.
    `key_file` has the client's own key (`leasectl keys init`; by default $LEASECTL_KEY_FILE), which
    shows the node who it is. $LEASECTL_CLUSTER_FILE has endpoints with their keys, one a line.
    Keys and values come back as bytes, with `text=True` as str; NotTextError where they are not
    UTF-8. The intervals of rights stay bytes, since their ends need not be text.
    """
