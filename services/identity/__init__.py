"""Identity owns users, their passwords, their sessions, and the functions each may use over which control accounts.

It promises that a password is known only as an argon2id hash, that a session ends within its time of disuse or at once
when revoked, and that nobody learns from a failed sign-in whether the user exists.
"""
