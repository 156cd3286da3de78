"""Identity owns companies and users, how they come in, their sessions, and what each may do over which control accounts.

It promises that no password, code or token is known but to whom it belongs, that a session ends within its time of disuse
or at once when revoked, that nobody learns from a failed sign-in whether the user exists, and that nobody can lock
another out for good.
"""
