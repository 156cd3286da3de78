"""The gateway: the portal API. It owns no data: it signs users in, checks what they may do, and passes on.

It promises that nothing reaches another service unchecked, that a command is answered only when the broker has it, and
that a client may repeat a command under its idempotency key without harm.
"""
