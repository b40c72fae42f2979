"""The front: etcd's own protocols, for etcd's own clients, at a node's client address.

`rpc` has etcd's messages and RPCs: their classes, and what they are in the client protocol.
"""
