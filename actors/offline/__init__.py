"""Work on a node's files while it does not run: recovery at the start, commands on snapshots."""
