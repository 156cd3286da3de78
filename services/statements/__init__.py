"""Statements: the ledger of card accounts and of centrally billed control accounts, their statements and what is overdue.

It promises that every movement has two sides and is never changed, that what was seen before posts nothing, and that a
billing cycle is closed exactly once.
"""
