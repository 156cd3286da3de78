"""Alembic's environment: it runs this file, and only this way, when it migrates the tables of a service.

The caller hands over an open connection and commits it, so that all revisions of one upgrade stand or fall together.
"""

from alembic import context

from shared.migrations import comparison, render_plainly

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    transactional_ddl=True,  # on SQLite too: `shared.database` begins the transaction there, not the driver
    render_as_batch=True,  # SQLite alters most of a table by copying it
    render_item=render_plainly,
    **comparison(context.config.attributes["connection"]),
)
with context.begin_transaction():
    context.run_migrations()
