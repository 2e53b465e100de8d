"""Tags in depth: categories, who may do what with a tag, several sources, rules that keep themselves.

The categories and rules that every city starts with are written here and not at start, as the tags
were: after that they belong to the officers.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "tagging_0005"
down_revision: str | None = "tagging_0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_CODE = sa.Text(collation="C")
_JSON = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())

_CATEGORIES = (
    ("volunteers", "志愿服务", "Volunteering"),
    ("party", "党建", "Party"),
    ("talents", "人才", "Talents"),
    ("hobbies", "兴趣爱好", "Hobbies"),
    ("veterans", "退役军人与优抚", "Veterans and their families"),
    ("elderly_care", "养老服务", "Elderly care"),
    ("assistance", "社会救助", "Assistance"),
    ("key_residents", "重点人员", "Key residents"),
    ("families", "家庭与婴幼儿", "Families"),
    ("housing", "居住与租赁", "Housing and leases"),
)


def _compare(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


# code, Chinese name, English name, category, sensitivity, rule
_RULES = (
    (
        "aged_80",
        "高龄老人（80岁以上）",
        "80 and over",
        "elderly_care",
        "internal",
        _compare("age", "gte", 80),
    ),
    (
        "living_alone_60",
        "独居老人（60岁以上）",
        "60 and over, living alone",
        "elderly_care",
        "sensitive",
        {"all": [_compare("age", "gte", 60), _compare("lives_alone", "eq", True)]},
    ),
    (
        "women_25_35",
        "25至35岁女性",
        "Women aged 25 to 35",
        "families",
        "internal",
        {"all": [_compare("sex", "eq", "female"), _compare("age", "between", [25, 35])]},
    ),
    (
        "infant",
        "婴儿（未满1岁）",
        "Infants under one",
        "families",
        "internal",
        _compare("age", "eq", 0),
    ),
    (
        "lease_expiring_30",
        "租约30天内到期",
        "Lease ends within 30 days",
        "housing",
        "internal",
        _compare("lease_end_date", "between", [{"days_from_today": n} for n in (0, 30)]),
    ),
)


def upgrade() -> None:
    # A migration that waits for a lock holds up every query behind it.
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.create_table(
        "tag_category",
        sa.Column("code", _CODE, nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("parent_code", _CODE, nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("tag_category_pkey")),
    )
    for column in ("may_see", "may_assign", "may_target"):
        op.add_column("tag", sa.Column(column, postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column(
        "tag", sa.Column("archived", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("tag", sa.Column("rule", _JSON, nullable=True))
    op.add_column("tag", sa.Column("rule_state", sa.Text(), nullable=True))
    op.add_column("tag", sa.Column("rule_day", sa.Date(), nullable=True))
    op.add_column("tag", sa.Column("rule_after", sa.Uuid(), nullable=True))
    op.add_column("tag", sa.Column("rule_done", sa.Integer(), nullable=True))
    op.add_column("tag", sa.Column("rule_total", sa.Integer(), nullable=True))
    op.add_column("tag_assignment", sa.Column("note", sa.Text(), nullable=True))
    op.drop_constraint("tag_assignment_pkey", "tag_assignment", type_="primary")
    op.create_primary_key(
        "tag_assignment_pkey", "tag_assignment", ["resident_id", "tag_code", "source"]
    )
    for column in ("valid_from", "valid_until"):
        op.create_index(
            f"tag_assignment_{column}_idx",
            "tag_assignment",
            [column],
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
    op.create_table(
        "tag_membership_event",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("tag_code", _CODE, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "resident_id", "tag_code", "n", name=op.f("tag_membership_event_pkey")
        ),
    )
    op.create_index(
        "tag_membership_event_tag_code_at_idx",
        "tag_membership_event",
        ["tag_code", "at", "resident_id", "n"],
    )
    op.create_table(
        "tag_keeper",
        sa.Column("singleton", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.CheckConstraint("singleton", name=op.f("tag_keeper_singleton_check")),
        sa.PrimaryKeyConstraint("singleton", name=op.f("tag_keeper_pkey")),
    )
    # Everybody is about to be evaluated: what was said before need not be.
    op.execute("INSERT INTO tag_keeper (position) SELECT coalesce(max(position), 0) FROM feed_head")
    _write_first_rows()


def _write_first_rows() -> None:
    names = ("code", "name_zh", "name_en", "category", "sensitivity")
    category = sa.table("tag_category", *(sa.column(name, sa.Text()) for name in names[:3]))
    op.bulk_insert(category, [dict(zip(names[:3], row, strict=True)) for row in _CATEGORIES])
    # Whatever officers have called a drawer is one.
    op.execute(
        "INSERT INTO tag_category (code, name_zh) SELECT DISTINCT category, category FROM tag"
        " WHERE category IS NOT NULL ON CONFLICT DO NOTHING"
    )
    tag = sa.table(
        "tag",
        *(sa.column(name, sa.Text()) for name in names),
        sa.column("rule", _JSON),
        sa.column("rule_state", sa.Text()),
    )
    rows = [dict(zip((*names, "rule"), row, strict=True)) for row in _RULES]
    for row in rows:
        # An officer may have used the code.
        values = {**row, "rule_state": "computing"}
        op.execute(postgresql.insert(tag).values(**values).on_conflict_do_nothing())


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_table("tag_keeper")
    op.drop_table("tag_membership_event")
    # What rules gave goes with them; of several that say the same, the first word stays.
    op.execute("DELETE FROM tag_assignment WHERE source = 'rule'")
    op.execute("DELETE FROM tag WHERE rule IS NOT NULL")
    op.execute(
        "DELETE FROM tag_assignment a USING tag_assignment b WHERE a.resident_id = b.resident_id"
        " AND a.tag_code = b.tag_code AND (b.created_at, b.source) < (a.created_at, a.source)"
    )
    for column in ("valid_until", "valid_from"):
        op.drop_index(f"tag_assignment_{column}_idx", table_name="tag_assignment")
    op.drop_constraint("tag_assignment_pkey", "tag_assignment", type_="primary")
    op.create_primary_key("tag_assignment_pkey", "tag_assignment", ["resident_id", "tag_code"])
    # A column of a primary key stays NOT NULL: as it was.
    op.drop_column("tag_assignment", "note")
    for column in (
        *("rule_total", "rule_done", "rule_after", "rule_day", "rule_state", "rule"),
        *("archived", "may_target", "may_assign", "may_see"),
    ):
        op.drop_column("tag", column)
    op.drop_table("tag_category")
