"""Runs migrations on the connection that `serving.state.database` passes in."""

from alembic import context

from serving.state.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
