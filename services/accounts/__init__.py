"""Accounts: a company's structure of control accounts, and the card accounts and cards that hang under it.

It promises that a cancelled card is never revived, that a card number leaves it only masked, and that every
change of a field is written down with who made it, for whom and by which request.
"""
