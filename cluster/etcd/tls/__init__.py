"""TLS at the front: what a client's bytes are inside it, for protocols that do not know of it.

credentials.py  the certificates that are served at present, read again when their files change
connection.py   one connection: a transport for its protocol, a protocol for its transport
handshakes.py   the handshakes under way, and their limits
"""
