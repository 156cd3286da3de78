"""Faults of every kind, under load, in both shapes: nothing is lost and nothing happens twice."""
