"""A cluster on this machine: `run_cluster.py`, and LocalCluster for programs and tests.

`local` is the cluster as a Python object: `processes` are its nodes, `roster` their record, and
`layout` their names, ports and flags. What takes several steps is an errand (`errands`): `running`,
`membership`, `scaling` and `linking` have them, for Python and for the prompt alike. `app` is the
command and `supervisor` its main loop; `commands` are what can be typed, `links` what is wrong
between nodes, `story` what happened. `screens`, `web` and `report` show it, `probing` measures it,
`shows` make it happen.
"""
