"""The threaded shell of a client: one I/O thread, and classes whose methods block.

objects      what a program holds: classes that name the methods of their twins in `flows`
blocking     how a flow becomes a method that blocks
shell        what flows wait on: each wait blocks the thread
connection   the I/O thread: it owns the sockets and the engine, and serves the callers' threads
"""
