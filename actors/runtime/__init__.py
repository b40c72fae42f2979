"""What runs a node's actors, and what their process needs before they start."""
