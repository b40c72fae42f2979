"""Proofs on real processes that take longer than a test may: `python -m tests.chaos`."""
