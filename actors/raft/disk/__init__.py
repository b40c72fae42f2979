"""Raft's files: the write-ahead log, the mark beside it, and snapshots on their way."""
