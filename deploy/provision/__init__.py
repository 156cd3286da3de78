"""Setting an installation up: its secrets, and the servers that are to know them.

`secrets` makes what is missing and hands to each process what it may know; `databases` makes a database for each
service, with a role that may do no more than it needs; `broker` does the same for users of a RabbitMQ that runs.
"""
