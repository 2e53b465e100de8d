"""`/v1/me/messages`: the caller's own inbox."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.tagging_api.dependencies import CurrentClock
from services.tagging_api.errors import MessageNotFound
from services.tagging_api.repository import messages as repository
from services.tagging_api.schemas.messages import MessagePage

router = APIRouter(prefix="/v1", tags=["messages"], route_class=UnitOfWorkRoute)

MessageReader = Annotated[Caller, requires(Permission.MESSAGES_READ)]


@router.get("/me/messages")
async def list_messages(caller: MessageReader, session: Reading, page: PageInQuery) -> MessagePage:
    """Your messages, newest first; none for an account that is tied to no resident."""
    if caller.resident_id is None:
        return MessagePage(items=[], next_page_token=None)
    rows = await repository.page(session, caller.resident_id, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.id,))
    return MessagePage.model_validate({"items": items, "next_page_token": token})


@router.post("/me/messages/{message_id}/read", status_code=204, responses=refuses(MessageNotFound))
async def mark_message_read(
    caller: MessageReader, session: Writing, message_id: UUID, clock: CurrentClock
) -> None:
    """Note that you have read a message. The first time counts."""
    found = caller.resident_id is not None and await repository.mark_read(
        session, caller.resident_id, message_id, at=clock.now()
    )
    if not found:
        raise MessageNotFound()
