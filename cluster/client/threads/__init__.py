"""The threads of a client: one I/O thread, which owns the sockets and the engine."""
