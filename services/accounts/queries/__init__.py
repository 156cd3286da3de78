"""Reads of accounts; what a caller may see is decided in scope.py alone."""
