"""Tests of a front's link to its node."""
