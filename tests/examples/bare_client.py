"""A whole client in ten lines, from PROTOCOL.md alone: `python bare_client.py tcp://HOST:PORT`."""

import sys
from typing import Any

import msgpack
import zmq

socket = zmq.Context().socket(zmq.REQ)
socket.connect(sys.argv[1])


def call(**request: Any) -> Any:
    socket.send(msgpack.packb(request))
    return msgpack.unpackb(socket.recv())


lease = call(op="lease_grant", TTL=60)["ID"]
call(op="put", key="greeting", value="hello", lease=lease)
(kv,) = call(op="range", key="greeting")["kvs"]
print(kv["key"], kv["value"], kv["lease"] == lease)
print(call(op="lease_time_to_live", ID=lease, keys=True)["keys"])
call(op="lease_revoke", ID=lease)
print(call(op="range", key="greeting")["count"], call(op="put")["error"]["message"])
