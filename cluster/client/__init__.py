"""The Python client: a pure core, one I/O thread around it, and the API on top.

api          Client: what a program calls
watch lease  what it holds meanwhile: Watch, Lease
connection   the I/O thread: sockets, and the way to and from the callers' threads
core         pure: retries, endpoints, exactly-once writes; `call` is one request on its way
watching leasing endpoints    pure parts of the core
results      typed answers, and how they are read from replies
"""
