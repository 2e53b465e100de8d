"""Tags, and which words mean them."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.common import pagination
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.models import Tag
from services.tagging_api.schemas.tags import Sensitivity, TagState


async def page(
    session: ReadSession, *, highest_too: bool, state: TagState | None, page: PageRequest
) -> Sequence[Tag]:
    statement = sa.select(Tag)
    if not highest_too:
        statement = statement.where(Tag.sensitivity != Sensitivity.HIGHEST)
    if state is not None:
        statement = statement.where(Tag.state == state)
    statement = pagination.keyset(statement, Tag.code, after=page.after(tuple[str]), size=page.size)
    return (await session.scalars(statement)).all()


async def by_codes(session: ReadSession, codes: Iterable[str]) -> dict[str, Tag]:
    found = await session.scalars(sa.select(Tag).where(Tag.code.in_(set(codes))))
    return {tag.code: tag for tag in found}


async def locked(session: WriteSession, code: str) -> Tag | None:
    return await session.scalar(sa.select(Tag).where(Tag.code == code).with_for_update())


async def everyone(session: ReadSession) -> Sequence[Tag]:
    """All tags, those that an officer has classified first."""
    order = (Tag.state != TagState.CLASSIFIED, Tag.code)
    return (await session.scalars(sa.select(Tag).order_by(*order))).all()


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
