"""What takes several steps, each of which waits: done by the main loop, or by a Python program.

`errand` drives them. `running` is about processes, `linking` about links, `membership` about
members and the leader, and `scaling` is made of several of these.
"""
