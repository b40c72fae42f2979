"""Tests of HTTP/1.1 at the front."""
