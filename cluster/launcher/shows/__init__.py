"""What a launcher can do by itself: a tour, chaos with a verdict, and a load in the background.

`show` is what tour and chaos have in common: a script that the main loop drives. `tour` and `chaos`
are the scripts, `faults` what chaos does, `judging` the language of its assertions. `load` starts a
load, `loading` is the process that makes it.
"""
