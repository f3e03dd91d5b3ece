"""Runs the catalogue's migrations over a connection that the catalogue opened."""

from alembic import context

from backstay.catalogue.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
