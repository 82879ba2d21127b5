"""Alembic's entry point: on the connection that `upgrade` passes, else on the URL of the command line."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from factory_pipeline.datalake.registry.schema import Instant, add_postgresql_conditions, metadata


def render(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Write our own types as their base types, so that a revision does not depend on them.

    Args:
        kind: `type` for the type of a column; Alembic renders anything else itself.
        item: the object that is rendered.

    Returns:
        Python source, or False to let Alembic render it.
    """
    if kind == "type" and isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.Enum):
        return f"sa.String({item.length})"
    return False


def run(connection: sa.Connection) -> None:
    """Run the migrations on this connection; SQLite changes a table by copying it."""
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=True, render_item=render
    )
    with context.begin_transaction():
        context.run_migrations()


if "connection" in context.config.attributes:
    run(context.config.attributes["connection"])
else:
    add_postgresql_conditions()
    engine = sa.create_engine(context.get_x_argument(as_dictionary=True)["url"])
    with engine.begin() as connection:
        run(connection)
