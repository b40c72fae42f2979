"""Leases on the leader: noticing which are due, and proposing their end."""
