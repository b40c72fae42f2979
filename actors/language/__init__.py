"""What the rooms of a node say to each other: plain values, and their bytes in the log."""
