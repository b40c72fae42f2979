"""Structured fuzz of a running node: `python -m tests.fuzz --minutes 5`.

Shapes, not only values: msgpack structures, operations with fields of wrong types and ranges, odd
messages, the bytes of the wire protocol, and the frames of peers. Each case is a connection of its
own, made of a seed and a number, so that any one can be tried again by itself.
"""
