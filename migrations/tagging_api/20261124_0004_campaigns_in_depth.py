"""Campaigns in depth: approval and schedule, channels and parcels, topics, accounts, webhooks.

What is being sent while this runs takes its audience anew; who has the message already is not told
again, for a message is one of its resident and campaign.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "tagging_0004"
down_revision: str | None = "tagging_0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_CODE = sa.Text(collation="C")
_INSTANT = sa.DateTime(timezone=True)

_TOPICS = [
    ("emergency", "紧急通知", "Emergencies", True),
    ("reports", "随手拍进展", "Answers to reports", True),
    ("health", "健康服务", "Health", False),
    ("education", "教育培训", "Education and training", False),
    ("elderly_care", "养老服务", "Care of the elderly", False),
    ("culture", "文体活动", "Culture and sport", False),
    ("volunteering", "志愿服务", "Volunteering", False),
    ("policy", "政策福利", "Policies and benefits", False),
    ("safety", "安全提醒", "Safety", False),
    ("utilities", "停水停电", "Water, power and gas", False),
    ("community", "社区事务", "Community affairs", False),
]


def upgrade() -> None:
    # A migration that waits for a lock holds up every query behind it.
    op.execute("SET LOCAL lock_timeout = '4s'")
    _upgrade_campaigns()
    _upgrade_deliveries()
    op.create_table(
        "parcel",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("area", _CODE, nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("delivered_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("parcel_pkey")),
    )
    op.create_index(
        "parcel_campaign_id_state_idx", "parcel", ["campaign_id", "state"], unique=False
    )
    op.create_index(
        "parcel_open_idx",
        "parcel",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'failed', 'sending')"),
    )
    _upgrade_inbox()
    op.create_table(
        "village",
        sa.Column("code", _CODE, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("village_pkey")),
    )
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("disabled_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_endpoint_pkey")),
    )
    op.create_table(
        "webhook_endpoint_area",
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        sa.Column("division_code", _CODE, nullable=False),
        sa.Column("grid_code", _CODE, nullable=True),
        sa.Column("compound_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("endpoint_id", "n", name=op.f("webhook_endpoint_area_pkey")),
    )


def _upgrade_campaigns() -> None:
    for column in (
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "channels", sa.ARRAY(sa.Text()), server_default=sa.text("'{in_app}'"), nullable=False
        ),
        sa.Column("emergency", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("holdout_percent", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("webhook_endpoint_id", sa.Uuid(), nullable=True),
        sa.Column("scheduled_at", _INSTANT, nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", _INSTANT, nullable=True),
        sa.Column("rejected_by", sa.Text(), nullable=True),
        sa.Column("rejection", sa.Text(), nullable=True),
        sa.Column("audience", sa.LargeBinary(), nullable=True),
        sa.Column("cursor", sa.Integer(), server_default="0", nullable=False),
        sa.Column("handed_over", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("updated_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
    ):
        op.add_column("campaign", column)
    op.execute("UPDATE campaign SET updated_at = coalesce(sent_at, created_at)")
    op.execute("UPDATE campaign SET handed_over = true WHERE state IN ('sent', 'stopped')")
    op.execute("UPDATE campaign SET recipients = NULL, delivered = 0 WHERE state = 'sending'")
    op.drop_index("campaign_sending_idx", table_name="campaign")
    op.create_index(
        "campaign_active_idx",
        "campaign",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state IN ('sending', 'scheduled')"),
    )


def _upgrade_deliveries() -> None:
    op.drop_index("delivery_waiting_idx", table_name="delivery")
    op.execute("DELETE FROM delivery WHERE delivered_at IS NULL")
    op.add_column(
        "delivery", sa.Column("channel", sa.Text(), server_default="in_app", nullable=False)
    )
    op.add_column(
        "delivery", sa.Column("state", sa.Text(), server_default="delivered", nullable=False)
    )
    for name in ("channel", "state"):
        op.alter_column("delivery", name, server_default=None)
    op.add_column("delivery", sa.Column("reason", sa.Text(), nullable=True))
    op.add_column("delivery", sa.Column("parcel_id", sa.Uuid(), nullable=True))
    op.drop_constraint("delivery_pkey", "delivery", type_="primary")
    op.create_primary_key("delivery_pkey", "delivery", ["resident_id", "campaign_id", "channel"])
    op.create_index(
        "delivery_campaign_id_resident_id_channel_idx",
        "delivery",
        ["campaign_id", "resident_id", "channel"],
        unique=False,
    )
    op.create_index(
        "delivery_undelivered_idx",
        "delivery",
        ["campaign_id", "state", "resident_id", "channel"],
        unique=False,
        postgresql_where=sa.text("state <> 'delivered'"),
    )
    op.create_index(
        "delivery_parcel_id_idx",
        "delivery",
        ["parcel_id"],
        unique=False,
        postgresql_where=sa.text("parcel_id IS NOT NULL"),
    )


def _upgrade_inbox() -> None:
    op.add_column("message", sa.Column("clicked_at", _INSTANT, nullable=True))
    for name in ("read", "clicked"):
        op.create_index(
            f"message_{name}_idx",
            "message",
            ["cause_id"],
            unique=False,
            postgresql_where=sa.text(f"{name}_at IS NOT NULL"),
        )
    topic = op.create_table(
        "topic",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("mandatory", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("topic_pkey")),
    )
    names = ("code", "name_zh", "name_en", "mandatory")
    op.bulk_insert(topic, [dict(zip(names, row, strict=True)) for row in _TOPICS])
    op.create_table(
        "opt_out",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("resident_id", "topic", name=op.f("opt_out_pkey")),
    )
    op.create_index(
        "opt_out_topic_resident_id_idx", "opt_out", ["topic", "resident_id"], unique=False
    )
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("account_pkey")),
    )
    op.create_index(
        "account_resident_id_idx",
        "account",
        ["resident_id"],
        unique=False,
        postgresql_where=sa.text("active AND resident_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    for table in (
        "webhook_endpoint_area",
        "webhook_endpoint",
        "village",
        "account",
        "opt_out",
        "topic",
        "parcel",
    ):
        op.drop_table(table)
    for name in ("clicked", "read"):
        op.drop_index(f"message_{name}_idx", table_name="message")
    op.drop_column("message", "clicked_at")
    # One row for each resident and campaign, as it was; what was under way is taken anew.
    op.execute("DELETE FROM delivery WHERE channel <> 'in_app' OR state <> 'delivered'")
    op.execute(
        "UPDATE campaign SET state = 'sending', recipients = NULL, delivered = 0"
        " WHERE state IN ('paused', 'sending')"
    )
    op.execute(
        "UPDATE campaign SET state = 'draft' WHERE state IN ('awaiting_approval', 'scheduled')"
    )
    op.execute("UPDATE campaign SET state = 'stopped' WHERE state = 'cancelled'")
    for name in ("parcel_id", "undelivered", "campaign_id_resident_id_channel"):
        op.drop_index(f"delivery_{name}_idx", table_name="delivery")
    op.drop_constraint("delivery_pkey", "delivery", type_="primary")
    for name in ("parcel_id", "reason", "state", "channel"):
        op.drop_column("delivery", name)
    op.create_primary_key("delivery_pkey", "delivery", ["resident_id", "campaign_id"])
    op.create_index(
        "delivery_waiting_idx",
        "delivery",
        ["campaign_id", "resident_id"],
        unique=False,
        postgresql_where=sa.text("delivered_at IS NULL"),
    )
    op.drop_index("campaign_active_idx", table_name="campaign")
    for name in (
        "updated_at",
        "handed_over",
        "cursor",
        "audience",
        "rejection",
        "rejected_by",
        "approved_at",
        "approved_by",
        "scheduled_at",
        "webhook_endpoint_id",
        "holdout_percent",
        "emergency",
        "channels",
        "version",
    ):
        op.drop_column("campaign", name)
    op.create_index(
        "campaign_sending_idx",
        "campaign",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'sending'"),
    )
