"""`/v1/tags`: what people can be labelled with."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.preconditions import IfMatch, etag
from services.common.problems import PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.tagging_api.dependencies import CurrentClock, TagInPath
from services.tagging_api.errors import (
    TagCodeTaken,
    TagNotFound,
    TagRuleCycle,
    TagRuleUnfit,
    TagSensitivityTooLow,
    TagUnclassified,
    TagUnknown,
)
from services.tagging_api.models import Tag
from services.tagging_api.repository import tag_categories
from services.tagging_api.repository import tags as repository
from services.tagging_api.schemas.tag_definitions import TagCreate, TagPage, TagRead, TagUpdate
from services.tagging_api.schemas.tags import Category, TagCode, TagState
from services.tagging_api.service import tag_access
from services.tagging_api.service import tags as service

router = APIRouter(prefix="/v1", tags=["tags"], route_class=UnitOfWorkRoute)

TagReader = Annotated[Caller, requires(Permission.TAGS_READ)]
TagWriter = Annotated[Caller, requires(Permission.TAGS_WRITE)]
_RULE = (TagRuleUnfit, TagRuleCycle, TagSensitivityTooLow, TagUnknown, TagUnclassified)


@router.get("/tags")
async def list_tags(
    caller: TagReader,
    session: Reading,
    page: PageInQuery,
    state: Annotated[
        TagState | None, Query(description="`unclassified`: words of ledgers that wait.")
    ] = None,
    category: Annotated[
        Category | None, Query(description="Those of a category and of all that lie in it.")
    ] = None,
    archived: Annotated[bool | None, Query(description="By default all.")] = None,
) -> TagPage:
    """Tags by code that you may see. The highest sensitivity needs a permission of its own."""
    within = await tag_categories.downwards(session, category) if category is not None else None
    rows = await repository.page(
        session,
        shown=tag_access.shown(caller),
        state=state,
        archived=archived,
        categories=within,
        page=page,
    )
    items, token = cut(rows, page, keys=lambda row: (row.code,))
    return TagPage(items=[service.shown(row) for row in items], next_page_token=token)


@router.post("/tags", status_code=201, responses=refuses(TagCodeTaken, *_RULE))
async def create_tag(
    caller: TagWriter, session: Writing, asked: TagCreate, clock: CurrentClock, response: Response
) -> TagRead:
    """A new tag. One of the highest sensitivity needs a permission of its own.

    With a `rule`, everybody is evaluated in the background, as `rule_status` tells; after that the
    tag follows every change and every midnight. It is at least as sensitive as what its rule asks
    for.
    """
    tag = await service.create(session, asked, caller=caller, clock=clock)
    response.headers["Location"] = f"/v1/tags/{tag.code}"
    return _shown(tag, response)


@router.get("/tags/{code}", responses=refuses(TagNotFound))
async def read_tag(_: TagReader, tag: TagInPath, response: Response) -> TagRead:
    """One tag, with the `ETag` that an update asks for."""
    return _shown(tag, response)


@router.patch(
    "/tags/{code}",
    responses=refuses(TagNotFound, PreconditionFailed, PreconditionRequired, *_RULE),
)
async def update_tag(
    caller: TagWriter,
    session: Writing,
    code: TagCode,
    version: IfMatch,
    asked: TagUpdate,
    clock: CurrentClock,
    response: Response,
) -> TagRead:
    """Rename, move, classify, archive or redefine a tag. What is absent stays as it is.

    An unclassified tag becomes a classified one when its sensitivity is named. Tags whose rules ask
    for one that becomes more sensitive become so, too.
    """
    tag = await service.update(session, code, asked, version=version, caller=caller, clock=clock)
    return _shown(tag, response)


def _shown(tag: Tag, response: Response) -> TagRead:
    response.headers["ETag"] = etag(tag.version)
    return service.shown(tag)
