"""`/v1/tags`: what people can be labelled with."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from services.common import security
from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.preconditions import IfMatch, check_version, etag
from services.common.problems import PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.tagging_api.dependencies import CurrentClock, TagInPath, hidden
from services.tagging_api.errors import TagCodeTaken, TagNotFound
from services.tagging_api.models import Tag
from services.tagging_api.repository import tags as repository
from services.tagging_api.schemas.tags import (
    Sensitivity,
    TagCode,
    TagCreate,
    TagPage,
    TagRead,
    TagState,
    TagUpdate,
)

router = APIRouter(prefix="/v1", tags=["tags"], route_class=UnitOfWorkRoute)

TagReader = Annotated[Caller, requires(Permission.TAGS_READ)]
TagWriter = Annotated[Caller, requires(Permission.TAGS_WRITE)]


@router.get("/tags")
async def list_tags(
    caller: TagReader,
    session: Reading,
    page: PageInQuery,
    state: Annotated[
        TagState | None, Query(description="`unclassified`: words of ledgers that wait.")
    ] = None,
) -> TagPage:
    """Tags by code. Those of the highest sensitivity need a permission of their own."""
    rows = await repository.page(
        session, highest_too=caller.may(Permission.TAGS_HIGHEST), state=state, page=page
    )
    items, token = cut(rows, page, keys=lambda row: (row.code,))
    return TagPage.model_validate({"items": items, "next_page_token": token})


@router.post("/tags", status_code=201, responses=refuses(TagCodeTaken))
async def create_tag(
    caller: TagWriter, session: Writing, asked: TagCreate, clock: CurrentClock, response: Response
) -> TagRead:
    """A new tag. One of the highest sensitivity needs a permission of its own."""
    if asked.sensitivity is Sensitivity.HIGHEST:
        security.check(caller, Permission.TAGS_HIGHEST)
    now = clock.now()
    tag = Tag(
        **asked.model_dump(),
        state=TagState.CLASSIFIED,
        aliases=[],
        version=1,
        created_at=now,
        updated_at=now,
    )
    session.add(tag)
    await session.flush()
    response.headers["Location"] = f"/v1/tags/{tag.code}"
    return _shown(tag, response)


@router.get("/tags/{code}", responses=refuses(TagNotFound))
async def read_tag(_: TagReader, tag: TagInPath, response: Response) -> TagRead:
    """One tag, with the `ETag` that an update asks for."""
    return _shown(tag, response)


@router.patch(
    "/tags/{code}",
    responses=refuses(TagNotFound, PreconditionFailed, PreconditionRequired),
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
    """Rename, move or classify a tag. What is absent stays as it is.

    An unclassified tag becomes a classified one when its sensitivity is named.
    """
    tag = await repository.locked(session, code)
    if tag is None or hidden(tag, caller):
        raise TagNotFound()
    check_version(tag.version, version)
    given = asked.model_dump(exclude_unset=True)
    if given.get("sensitivity") is Sensitivity.HIGHEST:
        security.check(caller, Permission.TAGS_HIGHEST)
    for name, value in given.items():
        setattr(tag, name, value)
    if "sensitivity" in given:
        tag.state = TagState.CLASSIFIED
    if given:
        tag.version += 1
        tag.updated_at = clock.now()
    return _shown(tag, response)


def _shown(tag: Tag, response: Response) -> TagRead:
    response.headers["ETag"] = etag(tag.version)
    return TagRead.model_validate(tag)
