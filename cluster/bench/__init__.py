"""A lean load generator for a cluster: what `leasectl bench` runs.

workload     what is asked: requests encoded before the clock starts
wires        the connections, one DEALER each
load         the loop that keeps so many requests under way
watchers     the same for watches: how many events reach how many watchers
figures      what came of it: throughput and latencies

It shares the machine with the nodes it measures, so it costs as little as it can: raw sockets, no
thread, and of each reply only its id is read.
"""
