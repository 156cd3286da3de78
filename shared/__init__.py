"""What every service stands on: the published language, messaging, the web edge and test support.

Nothing in here knows a service by name.
"""
