"""What is done to a node's files while it does not run: recovery, and commands on snapshots."""
