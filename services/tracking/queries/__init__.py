"""Reads of requests; what a caller may see is decided in scope.py alone."""
