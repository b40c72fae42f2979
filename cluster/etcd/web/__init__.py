"""HTTP/1.1 at a front: etcd's JSON gateway, its health checks, its version and its metrics.

`connection.py` parses and limits; `routes.py` finds what a path means; the other modules answer.
"""
