"""The asyncio shell of a client: its engine and sockets live in the program's event loop.

The sockets' file descriptors are added to the loop as readers. That costs a tenth of what
`zmq.asyncio` does, which makes a future for each frame, and it needs no thread.
"""
