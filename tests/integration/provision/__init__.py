"""Secrets, databases and users of an installation, against real servers."""
