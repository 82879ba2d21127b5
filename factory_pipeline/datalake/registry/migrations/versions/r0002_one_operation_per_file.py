"""One operation per file of annotations."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema here from the revision before."""
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.create_unique_constraint(
            batch_op.f("uq_operations_collection_id_source_path"), ["collection_id", "source", "path"]
        )
