"""The tree of categories that tags are kept in."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.common import pagination
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.models import TagCategory


async def page(session: ReadSession, *, page: PageRequest) -> Sequence[TagCategory]:
    statement = pagination.keyset(
        sa.select(TagCategory), TagCategory.code, after=page.after(tuple[str]), size=page.size
    )
    return (await session.scalars(statement)).all()


async def by_code(session: ReadSession, code: str) -> TagCategory | None:
    return await session.scalar(sa.select(TagCategory).where(TagCategory.code == code))


async def locked(session: WriteSession, code: str) -> TagCategory | None:
    return await session.scalar(
        sa.select(TagCategory).where(TagCategory.code == code).with_for_update()
    )


async def lock_tree(session: WriteSession) -> None:
    """One at a time moves categories: two at once could close a circle unseen."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(_TREE)))


_TREE = 0x74616763


async def upwards(session: ReadSession, code: str) -> Sequence[str]:
    """The category and all that it lies in; empty if there is none of that code."""
    above = sa.select(TagCategory.code, TagCategory.parent_code).where(TagCategory.code == code)
    tree = above.cte("tree", recursive=True)
    # UNION, not UNION ALL: it would end even if there were a circle.
    tree = tree.union(
        sa.select(TagCategory.code, TagCategory.parent_code).where(
            TagCategory.code == tree.c.parent_code
        )
    )
    return (await session.scalars(sa.select(tree.c.code))).all()


async def downwards(session: ReadSession, code: str) -> Sequence[str]:
    """The category and all that lie in it; empty if there is none of that code."""
    tree = sa.select(TagCategory.code).where(TagCategory.code == code).cte("tree", recursive=True)
    tree = tree.union(sa.select(TagCategory.code).where(TagCategory.parent_code == tree.c.code))
    return (await session.scalars(sa.select(tree.c.code))).all()


async def add_if_new(session: WriteSession, code: str) -> None:
    """Make a category, at the top of the tree, of a word that was named on a tag."""
    await session.execute(
        insert(TagCategory).values(code=code, name_zh=code).on_conflict_do_nothing()
    )
