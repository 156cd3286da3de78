"""Cardwork itself under the stopwatch: real processes, handlers, contracts, logging and metrics."""
