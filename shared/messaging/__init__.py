"""How messages travel: at least once by the broker, handled once by inbox and outbox.

A handler sees one typed message and one transaction. It never commits, publishes or catches: the dispatcher does.
"""
