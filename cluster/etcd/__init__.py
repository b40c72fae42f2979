"""The front: a process beside each node, through which all kinds of clients use one port.

A node whose client URL is `http://` starts a front and gives it the listening socket. The first
bytes of a connection say what its client speaks: ZMTP is passed on to the node's door byte for
byte, HTTP/2 is etcd's gRPC, HTTP/1.1 is etcd's JSON gateway with `/health` and `/metrics`. The
front is a client of its node like any other (`link/`): it has no data, it is believed for nothing
that a client is not, and it may be killed at any time.

    __main__.py   the front's two processes: one has everything loaded, the other one serves
    front.py      accepts connections, and looks at their first bytes
    passing.py    passes ZMTP on
    link/         the way to the node
    http2/        HTTP/2, without sockets and time
    rpc/          etcd's messages and methods, and what they are in the protocol of the node
    services/     what each method does, on any transport
    grpc/         gRPC over HTTP/2
    web/          HTTP/1.1: JSON, health, metrics
"""
