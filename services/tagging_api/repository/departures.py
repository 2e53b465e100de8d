"""Residents who are no more: merged into another, erased, or no longer known to the register.

Their rows stay, as tombstones: a number is never given to anybody else.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.common.database import ReadSession, WriteSession
from services.tagging_api.models import (
    Audience,
    AudienceMember,
    Compound,
    LedgerLabel,
    Message,
    OptOut,
    Resident,
    ResidentPlace,
    TagAssignment,
    TagMembershipEvent,
    Visit,
)
from services.tagging_api.repository.residents import DEPARTED, ResidentState
from services.tagging_api.schemas.visits import VisitState

Pairs = Sequence[tuple[str, UUID]]

# Somebody may have been merged into one who was merged in turn. A ring, which no register has, ends.
_SURVIVORS = sa.text("""
WITH RECURSIVE chain (merged, survivor, depth) AS (
    SELECT id, merged_into, 1 FROM resident
    WHERE id = ANY(:ids) AND merged_into IS NOT NULL
    UNION ALL
    SELECT c.merged, r.merged_into, c.depth + 1
    FROM chain c JOIN resident r ON r.id = c.survivor
    WHERE r.merged_into IS NOT NULL AND c.depth < 100
), last AS (
    SELECT DISTINCT ON (merged) merged, survivor FROM chain ORDER BY merged, depth DESC
)
SELECT merged, survivor FROM last
WHERE NOT EXISTS (SELECT FROM resident r WHERE r.id = last.survivor AND r.state = 'erased')
""").bindparams(sa.bindparam("ids", type_=ARRAY(sa.Uuid)))

_PAIRS = "unnest(CAST(:merged AS uuid[]), CAST(:survivors AS uuid[])) AS p (merged, survivor)"
_ALL = [column.name for column in TagAssignment.__table__.columns if column.name != "resident_id"]

_BORNE = sa.text(f"""
SELECT DISTINCT a.tag_code, p.survivor
FROM {_PAIRS} JOIN tag_assignment a ON a.resident_id = p.merged AND a.source <> 'rule'
""")

# What a rule gave stays behind: it is asked again about the survivor. Who said the same of the
# survivor goes on saying so, for as long as was said of either.
_ASSIGNMENTS = sa.text(f"""
WITH moved AS (
    SELECT DISTINCT ON (p.survivor, a.tag_code, a.source)
        p.survivor, {", ".join(f"a.{c}" for c in _ALL)}
    FROM {_PAIRS} JOIN tag_assignment a ON a.resident_id = p.merged AND a.source <> 'rule'
    ORDER BY p.survivor, a.tag_code, a.source, a.valid_until DESC NULLS FIRST, a.created_at
)
INSERT INTO tag_assignment AS a (resident_id, {", ".join(_ALL)})
SELECT survivor, {", ".join(_ALL)} FROM moved ORDER BY survivor, tag_code, source
ON CONFLICT (resident_id, tag_code, source) DO UPDATE SET
    valid_from = CASE WHEN a.valid_from IS NULL OR excluded.valid_from IS NULL THEN NULL
        ELSE least(a.valid_from, excluded.valid_from) END,
    valid_until = CASE WHEN a.valid_until IS NULL OR excluded.valid_until IS NULL THEN NULL
        ELSE greatest(a.valid_until, excluded.valid_until) END
""")

_LABELS = sa.text(f"""
INSERT INTO ledger_label (resident_id, label)
SELECT p.survivor, l.label FROM {_PAIRS} JOIN ledger_label l ON l.resident_id = p.merged
ON CONFLICT DO NOTHING
""")

_MEMBERS = sa.text(f"""
INSERT INTO audience_member (resident_id, audience_id)
SELECT p.survivor, m.audience_id
FROM {_PAIRS} JOIN audience_member m ON m.resident_id = p.merged
ON CONFLICT DO NOTHING
""")

_VISITS = sa.text(f"""
UPDATE visit v SET resident_id = p.survivor FROM {_PAIRS} WHERE v.resident_id = p.merged
""")

_OPT_OUTS = sa.text(f"""
INSERT INTO opt_out (resident_id, topic, created_at)
SELECT p.survivor, o.topic, min(o.created_at)
FROM {_PAIRS} JOIN opt_out o ON o.resident_id = p.merged
GROUP BY p.survivor, o.topic
ON CONFLICT DO NOTHING
""")

# UNION ends a ring.
_MERGED_INTO = sa.text("""
WITH RECURSIVE one (id) AS (
    SELECT unnest(CAST(:ids AS uuid[]))
    UNION
    SELECT r.id FROM one JOIN resident r ON r.merged_into = one.id AND r.state = 'merged'
)
SELECT id FROM one
""").bindparams(sa.bindparam("ids", type_=ARRAY(sa.Uuid)))

# Choices stay as figures. What somebody said in their own words does not, nor the door.
_ANSWERS = sa.text("""
UPDATE visit v SET grid_code = NULL, compound_id = NULL, answers = v.answers - ARRAY(
    SELECT q ->> 'key' FROM survey s, jsonb_array_elements(s.questions) AS q
    WHERE s.id = v.survey_id AND q ->> 'kind' = 'text'
)
WHERE v.resident_id = ANY(:ids)
""").bindparams(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)))


async def survivors(session: ReadSession, ids: Collection[UUID]) -> Mapping[UUID, UUID]:
    """Of residents that were merged, into whom in the end, unless that one was erased."""
    found = await session.execute(_SURVIVORS, {"ids": list(ids)})
    return {row.merged: row.survivor for row in found}


async def to_hand_over(session: ReadSession, survivors: Mapping[UUID, UUID]) -> Pairs:
    """The tags that the merged bear, each with the survivor."""
    found = await session.execute(_BORNE, _unzipped(survivors))
    return [(row.tag_code, row.survivor) for row in found]


async def hand_over(session: WriteSession, survivors: Mapping[UUID, UUID]) -> None:
    """Give labels, places in frozen audiences, visits and opt-outs to the survivors.

    The merged still have theirs: `strip` takes them, but for messages and opt-outs, which their
    accounts go on reading.
    """
    for statement in (_ASSIGNMENTS, _LABELS, _MEMBERS, _VISITS, _OPT_OUTS):
        await session.execute(statement, _unzipped(survivors))


def _unzipped(survivors: Mapping[UUID, UUID]) -> dict[str, list[UUID]]:
    return {"merged": list(survivors), "survivors": list(survivors.values())}


async def strip(session: WriteSession, ids: Collection[UUID]) -> Pairs:
    """Take from residents all that rules could find them by; the tags they bore."""
    gone = list(ids)
    ended = await session.execute(
        sa.delete(TagAssignment)
        .where(TagAssignment.resident_id.in_(gone))
        .returning(TagAssignment.tag_code, TagAssignment.resident_id)
    )
    taken_off = sorted({(row.tag_code, row.resident_id) for row in ended})
    for table in (ResidentPlace, LedgerLabel, TagMembershipEvent):
        await session.execute(sa.delete(table).where(table.resident_id.in_(gone)))
    left = await session.scalars(
        sa.delete(AudienceMember)
        .where(AudienceMember.resident_id.in_(gone))
        .returning(AudienceMember.audience_id)
    )
    # The packed copy is of members who have changed.
    await session.execute(
        sa.update(Audience).where(Audience.id.in_(set(left.all()))).values(members=None)
    )
    return taken_off


async def erase(session: WriteSession, ids: Collection[UUID]) -> None:
    """Delete what was told to residents, and what they chose; of those merged into them, too."""
    gone = (await session.scalars(_MERGED_INTO, {"ids": list(ids)})).all()
    for table in (Message, OptOut):
        await session.execute(sa.delete(table).where(table.resident_id.in_(gone)))
    waiting = sa.delete(Visit).where(Visit.state.in_((VisitState.OPEN, VisitState.NOT_MET)))
    await session.execute(waiting.where(Visit.resident_id.in_(gone)))
    await session.execute(_ANSWERS, {"ids": gone})


async def not_mentioned(session: ReadSession, generation: int) -> Sequence[UUID]:
    """Who is not known to the register any more, as its snapshot has it."""
    found = await session.scalars(
        sa.select(Resident.id).where(
            Resident.generation < generation, Resident.state.not_in(sorted(DEPARTED))
        )
    )
    return found.all()


async def bury(session: WriteSession, ids: Collection[UUID]) -> None:
    """Leave id and number of residents, and nothing else."""
    keep = {"id", "number", "version", "generation", "state"}
    emptied = {
        column.name: None for column in Resident.__table__.columns if column.name not in keep
    }
    await session.execute(
        sa.update(Resident)
        .where(Resident.id.in_(list(ids)))
        .values(state=ResidentState.ERASED, **emptied)
    )


async def forget_compounds(session: WriteSession, generation: int) -> None:
    await session.execute(sa.delete(Compound).where(Compound.generation < generation))
