"""Transactions and payments out of files: a layout says how a file is written, and every row is posted or refused with a reason.

`layout` is what an operator writes, `reading` makes rows of a stream by it; neither holds more of a file than a row.
"""
