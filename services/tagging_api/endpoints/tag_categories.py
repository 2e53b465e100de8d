"""`/v1/tag-categories`: the tree that tags are kept in."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.preconditions import IfMatch, etag
from services.common.problems import PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.tagging_api.dependencies import CurrentClock
from services.tagging_api.errors import (
    TagCategoryCodeTaken,
    TagCategoryCycle,
    TagCategoryNotFound,
    TagCategoryUnknown,
)
from services.tagging_api.models import TagCategory
from services.tagging_api.repository import tag_categories as repository
from services.tagging_api.schemas.tag_categories import (
    TagCategoryCreate,
    TagCategoryPage,
    TagCategoryRead,
    TagCategoryUpdate,
)
from services.tagging_api.schemas.tags import Category
from services.tagging_api.service import tag_categories as service

router = APIRouter(prefix="/v1", tags=["tags"], route_class=UnitOfWorkRoute)

TagReader = Annotated[Caller, requires(Permission.TAGS_READ)]
TagWriter = Annotated[Caller, requires(Permission.TAGS_WRITE)]
# Any text: a category may be a word that was first named on a tag.
CategoryInPath = Annotated[Category, Path()]


@router.get("/tag-categories")
async def list_tag_categories(_: TagReader, session: Reading, page: PageInQuery) -> TagCategoryPage:
    """All categories by code; `parent_code` makes them a tree."""
    rows = await repository.page(session, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.code,))
    return TagCategoryPage.model_validate({"items": items, "next_page_token": token})


@router.post(
    "/tag-categories",
    status_code=201,
    responses=refuses(TagCategoryCodeTaken, TagCategoryUnknown, TagCategoryCycle),
)
async def create_tag_category(
    _: TagWriter,
    session: Writing,
    asked: TagCategoryCreate,
    clock: CurrentClock,
    response: Response,
) -> TagCategoryRead:
    """A new category, at the top of the tree or within another."""
    category = await service.create(session, asked, clock=clock)
    response.headers["Location"] = f"/v1/tag-categories/{category.code}"
    return _shown(category, response)


@router.get("/tag-categories/{code}", responses=refuses(TagCategoryNotFound))
async def read_tag_category(
    _: TagReader, session: Reading, code: CategoryInPath, response: Response
) -> TagCategoryRead:
    """One category, with the `ETag` that an update asks for."""
    category = await repository.by_code(session, code)
    if category is None:
        raise TagCategoryNotFound()
    return _shown(category, response)


@router.patch(
    "/tag-categories/{code}",
    responses=refuses(
        TagCategoryNotFound,
        TagCategoryUnknown,
        TagCategoryCycle,
        PreconditionFailed,
        PreconditionRequired,
    ),
)
async def update_tag_category(
    _: TagWriter,
    session: Writing,
    code: CategoryInPath,
    version: IfMatch,
    asked: TagCategoryUpdate,
    clock: CurrentClock,
    response: Response,
) -> TagCategoryRead:
    """Rename a category, or move it with all that lies in it. What is absent stays as it is."""
    category = await service.update(session, code, asked, version=version, clock=clock)
    return _shown(category, response)


def _shown(category: TagCategory, response: Response) -> TagCategoryRead:
    response.headers["ETag"] = etag(category.version)
    return TagCategoryRead.model_validate(category)
