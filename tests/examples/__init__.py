"""Clients written from PROTOCOL.md alone, and the tests that run them."""
