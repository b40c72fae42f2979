"""The measurement of a million keys, on our side and with few of them."""

from __future__ import annotations

import os

from cluster.launcher.local import LocalCluster
from tests.bench.million import Figures, measure_own, resident_mb, table
from tests.limits import UNHURRIED

KEYS = 10_000


def test_all_keys_are_loaded_read_and_there_after_a_restart() -> None:
    with LocalCluster(node_flags=UNHURRIED) as cluster:
        figures = measure_own(cluster, KEYS)
    assert all(figure > 0 for figure in figures)
    assert figures.get_p50_ms <= figures.get_p99_ms <= figures.get_max_ms


def test_memory_is_that_of_the_process() -> None:
    assert 5 < resident_mb(os.getpid()) < 5_000


def test_table_has_a_line_and_a_ratio_for_each_figure() -> None:
    etcd, own = Figures(10, 1, 2, 3, 400, 50, 1), Figures(5, 2, 2, 3, 800, 25, 1)
    _, first, *_, last = lines = table(etcd, own)
    assert len(lines) == 1 + len(Figures._fields)
    assert first.split()[-3:] == ["10.00", "5.00", "0.50x"]
    assert last.split()[-1] == "1.00x"
