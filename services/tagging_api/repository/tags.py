"""Tags, and which words mean them."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy import ColumnElement, SQLColumnExpression
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.common import pagination
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.models import Tag
from services.tagging_api.schemas.tags import Sensitivity, TagState


def shown(*, roles: Iterable[str], highest_too: bool) -> ColumnElement[bool]:
    """Over `tag`: those that a caller with the roles may see."""
    mine = sa.literal(sorted(roles), ARRAY(sa.Text))
    among = sa.or_(Tag.may_see.is_(None), Tag.may_see.bool_op("&&")(mine))
    return among if highest_too else sa.and_(among, Tag.sensitivity != Sensitivity.HIGHEST)


def hides(
    codes: SQLColumnExpression[list[str]], *, roles: Iterable[str], highest_too: bool
) -> ColumnElement[bool]:
    """Whether one of the tags, by code, is one that a caller with the roles may not see."""
    unseen = sa.not_(shown(roles=roles, highest_too=highest_too))
    return sa.exists().where(Tag.code == sa.any_(codes), unseen)


async def page(
    session: ReadSession,
    *,
    shown: ColumnElement[bool],
    state: TagState | None,
    archived: bool | None,
    categories: Sequence[str] | None,
    page: PageRequest,
) -> Sequence[Tag]:
    statement = sa.select(Tag).where(shown)
    if state is not None:
        statement = statement.where(Tag.state == state)
    if archived is not None:
        statement = statement.where(Tag.archived.is_(archived))
    if categories is not None:
        statement = statement.where(Tag.category.in_(categories))
    statement = pagination.keyset(statement, Tag.code, after=page.after(tuple[str]), size=page.size)
    return (await session.scalars(statement)).all()


async def by_codes(session: ReadSession, codes: Iterable[str]) -> dict[str, Tag]:
    found = await session.scalars(sa.select(Tag).where(Tag.code.in_(set(codes))))
    return {tag.code: tag for tag in found}


async def locked(session: WriteSession, code: str) -> Tag | None:
    return await session.scalar(sa.select(Tag).where(Tag.code == code).with_for_update())


async def everyone(session: ReadSession) -> Sequence[Tag]:
    """All tags: first those an officer has classified, and before those a rule gives."""
    order = (Tag.state != TagState.CLASSIFIED, Tag.rule.is_not(None), Tag.code)
    return (await session.scalars(sa.select(Tag).order_by(*order))).all()


async def with_rules(session: ReadSession) -> Sequence[Tag]:
    """All tags that are defined by a rule, archived ones as well."""
    return (
        await session.scalars(sa.select(Tag).where(Tag.rule.is_not(None)).order_by(Tag.code))
    ).all()


async def lock_rules(session: WriteSession) -> None:
    """One at a time changes rules of tags: two at once could close a circle unseen."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(_RULES)))


_RULES = 0x74616773


async def add_unclassified(session: WriteSession, names: dict[str, str]) -> None:
    """File words as tags, by code, unless another process has."""
    await session.execute(
        insert(Tag)
        .values(
            [
                {
                    "code": code,
                    "name_zh": name,
                    "sensitivity": Sensitivity.HIGHEST,
                    "state": TagState.UNCLASSIFIED,
                }
                for code, name in names.items()
            ]
        )
        .on_conflict_do_nothing()
    )
