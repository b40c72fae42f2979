"""The commands of `run_cluster.py`: one table for the prompt, other terminals and the page.

`table` has them, `parsing` reads a line, `completion` completes one, `ctl` takes lines from other
terminals. `desk` is what a command may use. The work itself is done in `cluster.launcher`.
"""
