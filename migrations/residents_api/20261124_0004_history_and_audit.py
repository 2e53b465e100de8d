"""History and audit."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "residents_0004"
down_revision: str | None = "residents_0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


@dataclass(frozen=True)
class _Recorded:
    """A table whose changes are kept.

    `subject` is whose history it is, `key` tells rows of one subject apart, `sealed` is kept as bytes
    beside the values. A change of `derived` alone is none.
    """

    name: str
    subject: str = "resident_id"
    key: str = "CAST(t.id AS text)"
    sealed: str | None = None
    derived: tuple[str, ...] = ()


_RECORDED = (
    _Recorded("resident", subject="id", key="''", derived=("name_pinyin", "name_initials")),
    _Recorded("dwelling", subject="id", key="''"),
    _Recorded("occupancy"),
    _Recorded("identity_document", key="encode(t.blind_index, 'hex')", sealed="number"),
    _Recorded("phone", key="encode(t.blind_index, 'hex')", sealed="number"),
    _Recorded("guardian", sealed="contact"),
)

# One act is what one transaction did, by whoever the transaction says (services/common/origin.py).
_ACT = """
CREATE FUNCTION history_act_id() RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    known text := current_setting('shequ.act', true);
    made bigint;
BEGIN
    IF known <> '' THEN
        RETURN known;
    END IF;
    INSERT INTO history_act (at, actor, source)
    VALUES (coalesce(CAST(nullif(current_setting('shequ.at', true), '') AS timestamptz), now()),
            coalesce(nullif(current_setting('shequ.actor', true), ''), 'role:' || session_user),
            coalesce(nullif(current_setting('shequ.source', true), ''), 'database'))
    RETURNING id INTO made;
    PERFORM set_config('shequ.act', CAST(made AS text), true);
    RETURN made;
END $$
"""

_FUNCTION = """
CREATE FUNCTION record_{name}_{event}() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    {body};
    RETURN NULL;
END $$
"""

_TRIGGER = """
CREATE TRIGGER record_{event} AFTER {event} ON {name} REFERENCING {rows}
FOR EACH STATEMENT EXECUTE FUNCTION record_{name}_{event}()
"""

_ROWS = {
    "insert": "NEW TABLE AS new_rows",
    "update": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "OLD TABLE AS old_rows",
}

_INSERTED = """
    INSERT INTO history (subject_id, act_id, entity, key, op)
    SELECT t.{subject}, (SELECT history_act_id()), '{name}', {key}, 'created' FROM new_rows t
"""

_DELETED = """
    INSERT INTO history (subject_id, act_id, entity, key, op, old, sealed)
    SELECT t.{subject}, (SELECT history_act_id()), '{name}', {key}, 'deleted',
           to_jsonb(t) - CAST('{dropped}' AS text[]), {sealed}
      FROM old_rows t
"""

# A row whose key changes has left one subject for another.
_UPDATED = """
    INSERT INTO history (subject_id, act_id, entity, key, op, old, sealed)
    SELECT coalesce(o.subject, n.subject), (SELECT history_act_id()), '{name}',
           coalesce(o.key, n.key),
           CASE WHEN o.subject IS NULL THEN 'created' WHEN n.subject IS NULL THEN 'deleted'
                ELSE 'changed' END,
           CASE WHEN n.subject IS NULL THEN o.said - CAST('{dropped}' AS text[])
                WHEN o.subject IS NOT NULL THEN
                (SELECT jsonb_object_agg(e.key, e.value)
                   FROM jsonb_each(o.said - CAST('{dropped}' AS text[])) e
                  WHERE n.said -> e.key IS DISTINCT FROM e.value) END,
           CASE WHEN n.subject IS NULL THEN o.sealed END
      FROM (SELECT t.{subject} AS subject, {key} AS key, to_jsonb(t) AS said, {sealed} AS sealed
              FROM old_rows t) o
      FULL JOIN (SELECT t.{subject} AS subject, {key} AS key, to_jsonb(t) AS said
                   FROM new_rows t) n
        ON n.subject = o.subject AND n.key = o.key
     WHERE o.said - CAST('{dropped}' AS text[]) IS DISTINCT FROM n.said - CAST('{dropped}' AS text[])
"""

_BODIES = {"insert": _INSERTED, "update": _UPDATED, "delete": _DELETED}


def upgrade() -> None:
    _create_history()
    for recorded in _RECORDED:
        _record(recorded)
    _seal_accesses()


def _create_history() -> None:
    op.create_table(
        "history_act",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("history_act_pkey")),
    )
    op.create_table(
        "history",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("act_id", sa.BigInteger(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("old", postgresql.JSONB(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", "id", name=op.f("history_pkey")),
    )
    op.create_index(
        "history_deleted_idx",
        "history",
        ["entity", "key"],
        postgresql_where=sa.text("op = 'deleted'"),
    )
    op.create_index(
        "history_left_dwelling_idx",
        "history",
        [sa.text("(old ->> 'dwelling_id')")],
        postgresql_where=sa.text("entity = 'occupancy' AND old IS NOT NULL"),
    )
    op.create_index(
        "history_sealed_idx",
        "history",
        ["subject_id", "id"],
        postgresql_where=sa.text("sealed IS NOT NULL"),
    )
    op.execute(_ACT)


def _record(recorded: _Recorded) -> None:
    hidden = (*recorded.derived, *((recorded.sealed,) if recorded.sealed else ()))
    values = {
        "name": recorded.name,
        "subject": recorded.subject,
        "key": recorded.key,
        "sealed": f"t.{recorded.sealed}" if recorded.sealed else "CAST(NULL AS bytea)",
        "dropped": f"{{{','.join(hidden)}}}",
    }
    for event, rows in _ROWS.items():
        body = _BODIES[event].format(**values).strip()
        op.execute(_FUNCTION.format(name=recorded.name, event=event, body=body))
        op.execute(_TRIGGER.format(name=recorded.name, event=event, rows=rows))


def _seal_accesses() -> None:
    op.add_column(
        "access_record",
        sa.Column("actor_areas", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    for name in ("purpose_mac", "mac"):
        op.add_column("access_record", sa.Column(name, sa.LargeBinary(), nullable=True))
    op.add_column("access_record", sa.Column("sequence", sa.BigInteger(), nullable=True))
    op.add_column("access_record", sa.Column("hash", sa.LargeBinary(), nullable=True))
    op.create_index("access_record_sequence_key", "access_record", ["sequence"], unique=True)
    op.create_index(
        "access_record_unsealed_idx",
        "access_record",
        ["id"],
        postgresql_where=sa.text("sequence IS NULL"),
    )
    op.create_index("access_record_at_idx", "access_record", ["at", "id"])
    op.create_index("access_record_actor_at_idx", "access_record", ["actor", "at", "id"])


def downgrade() -> None:
    for index in ("actor_at_idx", "at_idx", "unsealed_idx", "sequence_key"):
        op.drop_index(f"access_record_{index}", "access_record")
    for name in ("hash", "sequence", "mac", "purpose_mac", "actor_areas"):
        op.drop_column("access_record", name)
    for recorded in _RECORDED:
        for event in _ROWS:
            op.execute(f"DROP TRIGGER record_{event} ON {recorded.name}")
            op.execute(f"DROP FUNCTION record_{recorded.name}_{event}()")
    op.execute("DROP FUNCTION history_act_id()")
    op.drop_table("history")
    op.drop_table("history_act")
