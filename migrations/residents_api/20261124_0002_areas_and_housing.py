"""Areas and housing."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "residents_0002"
down_revision: str | None = "999b8c65dead"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


_CODE = sa.Text(collation="C")
_POINT_IS_WHOLE = (
    "num_nulls(longitude, latitude, said_longitude, said_latitude, coordinate_system) IN (0, 5)"
)


def _located() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("said_longitude", sa.Float(), nullable=True),
        sa.Column("said_latitude", sa.Float(), nullable=True),
        sa.Column("coordinate_system", sa.Text(), nullable=True),
    )


_ADDED: dict[str, tuple[sa.Column[object], ...]] = {
    "division": (
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
    ),
    "grid": (
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("successor_code", _CODE, nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
    ),
    "compound": (
        *_located(),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("property_company", sa.Text(), nullable=True),
        sa.Column("committee", sa.Text(), nullable=True),
        sa.Column("risk_level", sa.Text(), nullable=True),
        sa.Column("households_declared", sa.Integer(), nullable=True),
        sa.Column("population_declared", sa.Integer(), nullable=True),
        sa.Column("households_counted", sa.Integer(), nullable=True),
        sa.Column("population_counted", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
    ),
    "dwelling": (
        *_located(),
        sa.Column("use", sa.Text(), nullable=True),
        sa.Column("floor_area", sa.Float(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
    ),
}


def upgrade() -> None:
    for table, columns in _ADDED.items():
        for column in columns:
            op.add_column(table, column)
    for table in ("compound", "dwelling"):
        op.create_check_constraint(
            op.f(f"{table}_point_is_whole_check"), table, sa.text(_POINT_IS_WHOLE)
        )
    op.create_table(
        "division_successor",
        sa.Column("code", _CODE, nullable=False),
        sa.Column("successor_code", _CODE, nullable=False),
        sa.PrimaryKeyConstraint("code", "successor_code", name=op.f("division_successor_pkey")),
    )
    op.create_table(
        "division_succession",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", _CODE, nullable=False),
        sa.Column("keeper_code", _CODE, nullable=False),
        sa.Column("moves", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("dwellings_moved", sa.Integer(), server_default="0", nullable=False),
        sa.Column("residents_moved", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("division_succession_pkey")),
    )
    op.create_index(op.f("division_succession_code_idx"), "division_succession", ["code"])
    op.create_index("division_succession_state_idx", "division_succession", ["state", "created_at"])
    op.create_table(
        "compound_contact",
        sa.Column("compound_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.SmallInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone_index", sa.LargeBinary(), nullable=True),
        sa.Column("phone", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("compound_id", "id", name=op.f("compound_contact_pkey")),
    )
    op.create_table(
        "building",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("village_code", _CODE, nullable=False),
        sa.Column("grid_code", _CODE, nullable=True),
        sa.Column("compound_id", sa.Uuid(), nullable=True),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("floors", sa.SmallInteger(), nullable=True),
        sa.Column("floors_below_ground", sa.SmallInteger(), nullable=True),
        sa.Column("status", sa.Text(), server_default="in_use", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("building_pkey")),
        sa.UniqueConstraint(
            "village_code",
            "compound_id",
            "number",
            name=op.f("building_village_code_compound_id_number_key"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index("building_compound_id_idx", "building", ["compound_id", "id"])
    op.create_index("building_grid_code_idx", "building", ["grid_code", "id"])
    op.create_table(
        "building_unit",
        sa.Column("building_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("floors", sa.SmallInteger(), nullable=True),
        sa.Column("dwellings_per_floor", sa.SmallInteger(), nullable=True),
        sa.Column("has_lift", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("building_id", "number", name=op.f("building_unit_pkey")),
    )


def downgrade() -> None:
    for table in (
        "building_unit",
        "building",
        "compound_contact",
        "division_succession",
        "division_successor",
    ):
        op.drop_table(table)
    for table in ("compound", "dwelling"):
        op.drop_constraint(op.f(f"{table}_point_is_whole_check"), table)
    for table, columns in _ADDED.items():
        for column in columns:
            op.drop_column(table, column.name)
