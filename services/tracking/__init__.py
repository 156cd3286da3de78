"""Tracking: what was asked of Cardwork, by whom, and what became of it.

It hears every command and every outcome and needs no change for a new one. It promises a tracking number for each
command, and the same final state in whatever order, and however often, messages arrive.
"""
