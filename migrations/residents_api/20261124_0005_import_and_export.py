"""Import and export: what a source has said before and what its columns mean, what each row came to,
and exported files.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "residents_0005"
down_revision: str | None = "residents_0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "ledger_source",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("importer_areas", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("entries", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("source", name="ledger_source_pkey"),
    )
    # Hashes do not get smaller.
    op.execute("ALTER TABLE ledger_source ALTER COLUMN entries SET STORAGE EXTERNAL")
    op.create_index("ledger_statement_source_idx", "ledger_statement", ["source"])
    op.add_column(
        "ledger_import", sa.Column("rows_known", sa.Integer, server_default="0", nullable=False)
    )
    op.add_column("ledger_import", sa.Column("known", sa.LargeBinary))
    op.add_column("ledger_row", sa.Column("effect", sa.Text))
    # Whatever is staged is staged again from its file.
    op.execute("TRUNCATE ledger_staging")
    op.add_column("ledger_staging", sa.Column("entry", sa.LargeBinary, nullable=False))
    op.add_column("ledger_row", sa.Column("changes", postgresql.JSONB))
    op.add_column("ledger_import", sa.Column("columns", postgresql.JSONB))
    op.add_column("ledger_import", sa.Column("phase", sa.Text))
    op.add_column(
        "ledger_import", sa.Column("rows_done", sa.Integer, server_default="0", nullable=False)
    )
    # Imports from before do not say what their rows came to.
    op.add_column(
        "ledger_import",
        sa.Column("tells_effects", sa.Boolean, server_default=sa.false(), nullable=False),
    )
    op.alter_column("ledger_import", "tells_effects", server_default=sa.true())
    op.create_table(
        "ledger_mapping",
        sa.Column("village_code", sa.Text(collation="C"), nullable=False),
        sa.Column("columns", postgresql.JSONB, nullable=False),
        sa.Column("updated_by", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("village_code", name="ledger_mapping_pkey"),
    )
    op.create_table(
        "ledger_export",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("area", sa.Text(collation="C"), nullable=False),
        sa.Column("division_code", sa.Text(collation="C"), nullable=False),
        sa.Column("areas", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("columns", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requester", sa.Text, nullable=False),
        sa.Column("requester_areas", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("approver", sa.Text),
        sa.Column("residents", sa.Integer, nullable=False),
        sa.Column("file_key", sa.Text, server_default="", nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="ledger_export_pkey"),
    )
    op.create_index("ledger_export_state_idx", "ledger_export", ["state", "created_at"])
    op.create_index("ledger_export_division_code_idx", "ledger_export", ["division_code", "id"])


def downgrade() -> None:
    op.drop_table("ledger_export")
    op.drop_table("ledger_mapping")
    op.drop_column("ledger_import", "tells_effects")
    op.drop_column("ledger_import", "rows_done")
    op.drop_column("ledger_import", "phase")
    op.drop_column("ledger_import", "columns")
    op.drop_column("ledger_row", "changes")
    op.drop_column("ledger_staging", "entry")
    op.drop_column("ledger_row", "effect")
    op.drop_column("ledger_import", "known")
    op.drop_column("ledger_import", "rows_known")
    op.drop_index("ledger_statement_source_idx", "ledger_statement")
    op.drop_table("ledger_source")
