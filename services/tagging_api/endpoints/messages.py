"""`/v1/me/messages`: the caller's own inbox."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.schemas import Line
from services.common.security import Caller, requires
from services.tagging_api.dependencies import CurrentClock
from services.tagging_api.errors import MessageNotFound
from services.tagging_api.repository import messages as repository
from services.tagging_api.schemas.messages import MarkedRead, MessagePage, UnreadCount

router = APIRouter(prefix="/v1", tags=["messages"], route_class=UnitOfWorkRoute)

MessageReader = Annotated[Caller, requires(Permission.MESSAGES_READ)]


@router.get("/me/messages")
async def list_messages(
    caller: MessageReader,
    session: Reading,
    page: PageInQuery,
    unread: Annotated[
        bool | None, Query(description="Only unread ones if true, only read ones if false.")
    ] = None,
    topic: Annotated[
        Line | None, Query(max_length=64, description="Only those of this topic.")
    ] = None,
) -> MessagePage:
    """Your messages, newest first; none for an account that is tied to no resident."""
    if caller.resident_id is None:
        return MessagePage(items=[], next_page_token=None)
    rows = await repository.page(session, caller.resident_id, unread=unread, topic=topic, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.id,))
    return MessagePage.model_validate({"items": items, "next_page_token": token})


@router.get("/me/messages/unread-count")
async def count_unread_messages(caller: MessageReader, session: Reading) -> UnreadCount:
    """How many messages you have not read."""
    if caller.resident_id is None:
        return UnreadCount(unread=0)
    return UnreadCount(unread=await repository.unread(session, caller.resident_id))


@router.post("/me/messages/read")
async def mark_all_messages_read(
    caller: MessageReader, session: Writing, clock: CurrentClock
) -> MarkedRead:
    """Note of all your messages that you have read them."""
    if caller.resident_id is None:
        return MarkedRead(marked=0)
    marked = await repository.mark_all_read(session, caller.resident_id, at=clock.now())
    return MarkedRead(marked=marked)


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


@router.post("/me/messages/{message_id}/click", status_code=204, responses=refuses(MessageNotFound))
async def mark_message_clicked(
    caller: MessageReader, session: Writing, message_id: UUID, clock: CurrentClock
) -> None:
    """Note that you have followed a message to what it is about. The first time counts."""
    found = caller.resident_id is not None and await repository.mark_clicked(
        session, caller.resident_id, message_id, at=clock.now()
    )
    if not found:
        raise MessageNotFound()
