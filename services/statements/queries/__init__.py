"""Reads of statements; what a caller may see is decided in scope.py alone."""
