"""What each RPC of etcd does, on any transport.

A transport (`grpc/`, or `web/` for JSON) makes a `Call` for each request and finds in `table.py`
what serves it. Both sides of a call are the protocol's maps (cluster/PROTOCOL.md), so a service
knows neither protobuf nor JSON nor HTTP. It reaches the node by a `Link`.

    calls.py        the seams: Call and Service, Link and Feed; the errors that a node answers with
    credentials.py  whose a call is: its token, in each request to the node
    table.py        path of an RPC -> what serves it
    unary.py        one request, one answer of the node: most RPCs
    watch.py        Watch: the watches of one stream are those of one connection to the node
    lease.py        LeaseKeepAlive: answers in the order of the requests
    snapshot.py     Snapshot: the parts of one file
    maintenance.py  Status and Downgrade
    recipes.py      what runs as a task: asking the node, following a watch, what a cancel undoes
    contest.py      the queue of keys that locks and elections share
    lock.py  election.py    etcd's v3lock and v3election
    health.py       grpc.health.v1
"""
