"""Watches: which client watches which keys, and what each watch is told."""
