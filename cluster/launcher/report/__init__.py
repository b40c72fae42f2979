"""What is made of a journal when a session is over, or at any moment: a page, and a recording.

`reading` takes happenings back from events.jsonl. `spans` says who was what, and when. `svg` has
the shapes, `plots` the timeline and the scatter made of them. `html` is the page of the report, and
`recording` the animated picture of a session. Nothing here knows a running cluster.
"""
