"""The clients' side of a node: requests in, replies out, and who waits for what."""
