"""`/v1/audiences`: how many people a rule finds."""

from typing import Annotated

from fastapi import APIRouter

from services.common import clock as common_clock
from services.common import projection
from services.common.access import Permission
from services.common.errors import refuses
from services.common.positions import PositionNotReached
from services.common.problems import Text, Unavailable
from services.common.routing import Reading, UnitOfWorkRoute
from services.common.security import Caller, requires
from services.tagging_api.dependencies import CurrentClock, Followers
from services.tagging_api.errors import TagUnclassified, TagUnknown
from services.tagging_api.repository import audiences as repository
from services.tagging_api.schemas.audiences import AudienceCount, AudienceCountRequest
from services.tagging_api.schemas.rules import parsed
from services.tagging_api.service import residents_feed, rules

router = APIRouter(prefix="/v1", tags=["audiences"], route_class=UnitOfWorkRoute)

OWN = "tagging_api"
_NOT_READ = Text("居民数据尚未同步完成", "The register has not been read completely yet")


@router.post("/audiences/count", responses=refuses(TagUnknown, TagUnclassified, PositionNotReached))
async def count_audience(
    caller: Annotated[Caller, requires(Permission.AUDIENCES_COUNT)],
    session: Reading,
    asked: AudienceCountRequest,
    clock: CurrentClock,
    followers: Followers,
) -> AudienceCount:
    """How many residents with a current occupancy in your areas the rule finds, today.

    Tags of the highest sensitivity need a permission of their own.
    """
    await projection.reach(followers, asked.min_position, own=OWN)
    rule = parsed(asked.rule)
    await rules.check_countable(session, rule, caller)
    # Read before the count: what is counted can only be newer.
    register = [each for each in followers if each.source == residents_feed.SOURCE]
    position = await projection.current(register, session)
    if not position.cursors:
        raise Unavailable(_NOT_READ)
    as_of = clock.now()
    count = await repository.count(session, rule, areas=caller.areas, on=common_clock.today(clock))
    return AudienceCount(count=count, as_of=as_of, position=str(position))
