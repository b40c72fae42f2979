"""Tests of `cluster.launcher`, room by room."""
