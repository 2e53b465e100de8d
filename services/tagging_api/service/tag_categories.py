"""Making categories, and moving them in their tree."""

from services.common.clock import Clock
from services.common.database import WriteSession
from services.common.preconditions import check_version
from services.common.problems import FieldError, Problem
from services.tagging_api import errors
from services.tagging_api.models import TagCategory
from services.tagging_api.repository import tag_categories as repository
from services.tagging_api.schemas.tag_categories import TagCategoryCreate, TagCategoryUpdate


async def create(session: WriteSession, asked: TagCategoryCreate, *, clock: Clock) -> TagCategory:
    """Raises TagCategoryUnknown for a parent that there is not."""
    now = clock.now()
    if asked.parent_code is not None:
        await _check_parent(session, asked.code, asked.parent_code)
    category = TagCategory(**asked.model_dump(), version=1, created_at=now, updated_at=now)
    session.add(category)
    await session.flush()
    return category


async def update(
    session: WriteSession, code: str, asked: TagCategoryUpdate, *, version: int, clock: Clock
) -> TagCategory:
    """Raises TagCategoryNotFound, PreconditionFailed, TagCategoryUnknown or TagCategoryCycle."""
    given = asked.model_dump(exclude_unset=True)
    if "parent_code" in given:
        await repository.lock_tree(session)
    category = await repository.locked(session, code)
    if category is None:
        raise errors.TagCategoryNotFound()
    check_version(category.version, version)
    if asked.parent_code is not None:
        await _check_parent(session, code, asked.parent_code)
    for name, value in given.items():
        setattr(category, name, value)
    if given:
        category.version += 1
        category.updated_at = clock.now()
    return category


async def _check_parent(session: WriteSession, code: str, parent: str) -> None:
    above = await repository.upwards(session, parent)
    if code in above or code == parent:
        raise _at_parent(errors.TagCategoryCycle)
    if not above:
        raise _at_parent(errors.TagCategoryUnknown)


def _at_parent(problem: type[Problem]) -> Problem:
    return problem(errors=(FieldError("/parent_code", problem.code, problem.title),))
