"""Loads what all tests share: servers, a fresh place on them, and the order of the run."""

pytest_plugins = ["shared.testing.plugin", "pytester"]
