"""Consensus: a pure core that decides, a write-ahead log that remembers, an actor that carries.

Read rpc.py (what members say to each other), elector.py and leader.py (who leads, and what a leader
does), replica.py (what a follower's log takes), core.py (which joins them), then actor.py, whose
`settle` says what is durable, who is told, and in which order. facts.py and narrator.py are for
people alone.
"""
