"""Consensus: a pure core that decides, a write-ahead log that remembers, an actor that carries.

Read rpc.py (what members say), roles.py (what each role knows), core.py (what is decided), then
actor.py, whose `_flush` says what is durable, who is told, and in which order.
"""
