"""The benchmark: its tests, a comparison with etcd (`python -m tests.bench etcd DIR`), and what
overwrites take on disk (`python -m tests.bench disk`).
"""
