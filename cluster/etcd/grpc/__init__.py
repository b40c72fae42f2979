"""gRPC over the HTTP/2 engine: calls, their messages, deadlines and status.

    messages.py     a call's bytes <-> its messages (a prefix of five bytes before each)
    headers.py      what a request's headers say, and the header blocks of answers
    deadlines.py    when calls end that have a `grpc-timeout`
    calls.py        one call that the node answers at once, and what all calls share
    served.py       one call as a service of `services/` sees it
    server.py       one connection: the asyncio protocol of it

What an RPC does is in `services/`. etcd registers no reflection, so there is none.
"""
