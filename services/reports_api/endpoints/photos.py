"""`/v1/reports/{report_id}/photos/{n}`."""

from typing import Annotated

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.common.access import Permission
from services.common.errors import refuses
from services.common.routing import UnitOfWorkRoute
from services.common.security import Caller, requires
from services.reports_api.dependencies import PhotoInPath
from services.reports_api.domain.pictures import MEDIA_TYPE
from services.reports_api.errors import PhotoNotFound
from services.reports_api.service.photos import PhotoIntake

router = APIRouter(prefix="/v1", tags=["reports"], route_class=UnitOfWorkRoute)


@router.get(
    "/reports/{report_id}/photos/{n}",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The photo.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        304: {"description": "The photo is the one that the caller has."},
        **refuses(PhotoNotFound),
    },
)
async def read_report_photo(
    request: Request,
    _: Annotated[Caller, requires(Permission.REPORTS_READ)],
    photo: PhotoInPath,
    if_none_match: Annotated[str | None, Header(max_length=1000)] = None,
) -> Response:
    """A photo, upright and at most 4096 pixels wide and high."""
    # A photo never changes, so its address is its tag. Who may see it does change: what a browser
    # keeps, it has to ask about each time.
    tag = f'"{photo.report_id}.{photo.n}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    if tag in (known.strip() for known in (if_none_match or "").split(",")):
        return Response(status_code=304, headers=headers)
    intake: PhotoIntake = request.state.photos
    size, pieces = await intake.store.get(photo.object_key)
    headers["Content-Length"] = str(size)
    return StreamingResponse(pieces, media_type=photo.media_type, headers=headers)
