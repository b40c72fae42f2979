"""What runs a node's actors, and what a process needs before and around them."""
