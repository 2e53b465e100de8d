"""`/v1/topics` and `/v1/me/preferences`: what residents want to hear of."""

from typing import Annotated

from fastapi import APIRouter

from services.common.access import Permission
from services.common.errors import refuses
from services.common.problems import FieldError
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.tagging_api.dependencies import CurrentClock
from services.tagging_api.errors import MessageNotFound, TopicMandatory
from services.tagging_api.repository import inbox as repository
from services.tagging_api.schemas.preferences import (
    PreferencesRead,
    PreferencesUpdate,
    TopicList,
    TopicPreference,
    TopicRead,
)

router = APIRouter(prefix="/v1", tags=["messages"], route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.REFERENCE_READ)]
MessageReader = Annotated[Caller, requires(Permission.MESSAGES_READ)]


@router.get("/topics")
async def list_topics(_: Reader, session: Reading) -> TopicList:
    """Topics with a name. Campaigns may have others, of which one can opt out all the same."""
    topics = await repository.topics(session)
    return TopicList(items=[TopicRead.model_validate(topic) for topic in topics])


@router.get("/me/preferences")
async def read_preferences(caller: MessageReader, session: Reading) -> PreferencesRead:
    """What you want to hear of: everything but what you have opted out of."""
    return await _shown(session, caller)


@router.put("/me/preferences", responses=refuses(MessageNotFound, TopicMandatory))
async def update_preferences(
    caller: MessageReader, session: Writing, asked: PreferencesUpdate, clock: CurrentClock
) -> PreferencesRead:
    """Say all that you do not want to hear of. It holds for campaigns that are under way, too.

    Refused for an account that is tied to no resident: there is nobody who would be told.
    """
    if caller.resident_id is None:
        raise MessageNotFound()
    mandatory = await repository.mandatory(session, asked.opted_out)
    faults = tuple(
        FieldError(f"/opted_out/{n}", TopicMandatory.code, TopicMandatory.title)
        for n, code in enumerate(asked.opted_out)
        if code in mandatory
    )
    if faults:
        raise TopicMandatory(errors=faults)
    await repository.replace_opted_out(
        session, caller.resident_id, set(asked.opted_out), at=clock.now()
    )
    return await _shown(session, caller)


async def _shown(session: Reading, caller: Caller) -> PreferencesRead:
    opted_out = (
        await repository.opted_out(session, caller.resident_id)
        if caller.resident_id is not None
        else []
    )
    topics = [
        TopicPreference(
            code=topic.code,
            name_zh=topic.name_zh,
            name_en=topic.name_en,
            mandatory=topic.mandatory,
            opted_in=topic.code not in opted_out,
        )
        for topic in await repository.topics(session)
    ]
    return PreferencesRead(opted_out=opted_out, topics=topics)
