"""When each schedule is due next, so that a look at what is due reads those alone that are."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the next look fills it."""
    op.add_column("schedules", sa.Column("next_due", sa.DateTime(), nullable=True))
