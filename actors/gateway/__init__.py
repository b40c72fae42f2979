"""The clients' side of a node: requests in, replies out, and which requests still wait."""
