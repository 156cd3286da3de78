"""The bounded contexts of Cardwork.

A folder in here with a ``service.py`` is a service: it is found, not listed. Services never import each
other and never read each other's tables; they talk in the messages of ``shared.contracts``.
"""
