"""Statistics: counts per village, and which villages are to be counted again."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "residents_0007"
down_revision: str | None = "residents_0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_FUNCTION = """
CREATE FUNCTION count_again_{name}_{event}() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO statistic_dirty (village_code) {villages};
    RETURN NULL;
END $$
"""

_TRIGGER = """
CREATE TRIGGER count_again_{event} AFTER {event} ON {name} REFERENCING {rows}
FOR EACH STATEMENT EXECUTE FUNCTION count_again_{name}_{event}()
"""

_ROWS = {
    "insert": "NEW TABLE AS new_rows",
    "update": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "OLD TABLE AS old_rows",
}
_OF = {"insert": ("new_rows",), "update": ("old_rows", "new_rows"), "delete": ("old_rows",)}

_VILLAGES = {
    "occupancy": "division_code",
    "dwelling": "division_code",
    "building": "village_code",
    "resident": "left(area_code, 12)",
}

_DISTINCT = "SELECT DISTINCT {village} FROM {rows}"
# Of a resident most updates change nothing that is counted; the others count where they live.
_COUNTED = (
    "sex", "birth_date", "population_type", "ethnicity", "political_status", "state", "area_code",
    "keeper_compound_id",
)  # fmt: skip
_CHANGED = """
    SELECT DISTINCT v.code
      FROM old_rows a
      JOIN new_rows b ON b.id = a.id
           AND ({old}) IS DISTINCT FROM ({new})
     CROSS JOIN LATERAL (
           SELECT left(a.area_code, 12) UNION ALL SELECT left(b.area_code, 12)
            UNION ALL SELECT o.division_code FROM occupancy o WHERE o.resident_id = a.id) v (code)
"""


def upgrade() -> None:
    _create_tables()
    for name, village in _VILLAGES.items():
        for event, rows in _ROWS.items():
            villages = " UNION ".join(
                _DISTINCT.format(village=village, rows=source) for source in _OF[event]
            )
            if (name, event) == ("resident", "update"):
                villages = _CHANGED.strip().format(
                    old=", ".join(f"a.{column}" for column in _COUNTED),
                    new=", ".join(f"b.{column}" for column in _COUNTED),
                )
            op.execute(_FUNCTION.format(name=name, event=event, villages=villages))
            op.execute(_TRIGGER.format(name=name, event=event, rows=rows))
    # What is there already is counted as soon as a service starts.
    op.execute(
        "INSERT INTO statistic_village (village_code)"
        " SELECT division_code FROM dwelling UNION SELECT left(area_code, 12) FROM resident"
    )


def _create_tables() -> None:
    code = sa.Text(collation="C")
    key = ["level", "area", "village_code"]
    op.create_table(
        "statistic_count",
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("area", code, nullable=False),
        sa.Column("village_code", code, nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(*key, "dimension", "value", name=op.f("statistic_count_pkey")),
    )
    op.create_index("statistic_count_village_code_idx", "statistic_count", ["village_code"])
    op.create_table(
        "statistic_month",
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("area", code, nullable=False),
        sa.Column("village_code", code, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("residents", sa.Integer(), nullable=False),
        sa.Column("moved_in", sa.Integer(), nullable=False),
        sa.Column("moved_out", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(*key, "month", name=op.f("statistic_month_pkey")),
    )
    op.create_index("statistic_month_village_code_idx", "statistic_month", ["village_code"])
    op.create_table(
        "statistic_village",
        sa.Column("village_code", code, nullable=False),
        sa.Column("counted_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("village_code", name=op.f("statistic_village_pkey")),
    )
    op.create_table(
        "statistic_dirty",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("village_code", code, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("statistic_dirty_pkey")),
    )


def downgrade() -> None:
    for name in _VILLAGES:
        for event in _ROWS:
            op.execute(f"DROP TRIGGER count_again_{event} ON {name}")
            op.execute(f"DROP FUNCTION count_again_{name}_{event}()")
    for name in ("statistic_dirty", "statistic_village", "statistic_month", "statistic_count"):
        op.drop_table(name)
