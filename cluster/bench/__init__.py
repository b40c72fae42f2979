"""A lean load generator for a cluster: what `leasectl bench` runs.

workload     the requests, encoded before the clock starts
wires        the connections, one DEALER each
load         the loop that keeps a fixed number of requests under way
watchers     the same for watches: events delivered to watchers
figures      the results: throughput and latencies

It shares the machine with the nodes that it measures, so it must be cheap: it uses raw sockets and
no thread, and reads only the id of each reply.
"""
