"""Users, roles and rights on a real etcd and on a node: each program is answered alike by both.

`language` says what a program is, `sides` asks a server by gRPC, `programs` is the list of etcd's
own rules, `generator` makes random programs, and `deliberate` has what differs on purpose.
"""
