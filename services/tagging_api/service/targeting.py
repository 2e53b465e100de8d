"""Who is in an audience: the one way every part of this service asks."""

from collections.abc import Sequence
from datetime import date, datetime
from itertools import islice
from uuid import UUID

from pyroaring import BitMap

from services.common import projection
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.positions import Position
from services.common.projection import Follower
from services.tagging_api.domain.bitmaps import View
from services.tagging_api.domain.rules import HasTag, Members, Rule, nodes
from services.tagging_api.repository import audiences, saved_audiences
from services.tagging_api.repository import index as repository
from services.tagging_api.service.index import FollowingIndex

_CACHED_LEAVES = 64


class Targeting:
    """Audiences as counts, as bitmaps of resident numbers, and as ids.

    Rules are resolved: no saved audience is named in them. Only residents with a current place
    within `areas` are members. The index answers for today, PostgreSQL for any other day.
    """

    def __init__(self, index: FollowingIndex, *, service: str) -> None:
        self._index = index
        self._service = service
        self._leaves: dict[UUID | HasTag, BitMap] = {}
        self._leaves_of = (-1, date.min)

    async def count(
        self, session: ReadSession, rule: Rule, *, areas: Sequence[Area], on: date
    ) -> int:
        """How many residents the audience has."""
        view = await self.view(session, rule, areas=areas, on=on)
        if view is None:
            return await audiences.count(session, rule, areas=areas, on=on)
        return len(view.found(rule))

    async def members(
        self, session: ReadSession, rule: Rule, *, areas: Sequence[Area], on: date
    ) -> BitMap:
        """The numbers of the residents in the audience; the caller's own to change."""
        view = await self.view(session, rule, areas=areas, on=on)
        if view is None:
            return await repository.members(session, rule, areas=areas, on=on)
        return view.found(rule).copy()

    async def ids(
        self, session: ReadSession, numbers: BitMap, *, after: int, limit: int
    ) -> list[tuple[int, UUID]]:
        """Number and id of the first `limit` of `numbers` above `after` (0 to begin), in order."""
        some = list(islice(numbers.iter_equal_or_larger(after + 1), limit))
        return await repository.ids(session, some) if some else []

    async def view(
        self, session: ReadSession, *rules: Rule, areas: Sequence[Area], on: date
    ) -> View | None:
        """What the areas show today, for these rules; None for another day.

        To be used before the next await: after that it may be of no state at all.
        """
        if self._index.bitmaps is None or self._index.bitmaps.day != on:
            await self._index.refresh()
        leaves = await self._known(session, rules, on)
        index = self._index.bitmaps
        if index is None or index.day != on:
            return None
        return View(index, areas=areas, on=on, leaves=leaves)

    @property
    def as_of(self) -> datetime:
        """When the index was as it is."""
        return self._index.as_of

    @property
    def position(self) -> Position:
        """How far it is in this service's own feed and in those it follows."""
        return self._index.position

    async def caught_up(self) -> None:
        """Be as new as the database: for who wrote and has no position of it."""
        await self._index.refresh()

    async def reach(self, followers: Sequence[Follower], position: str | None) -> None:
        """Wait up to a second until the position is counted. Raises PositionNotReached."""
        if position is None or self._index.covers(wanted := Position.parse(position)):
            return
        await projection.reach(followers, position, own=self._service)
        await self._index.reach(wanted)

    async def _known(
        self, session: ReadSession, rules: Sequence[Rule], on: date
    ) -> dict[UUID | HasTag, BitMap]:
        """What rules ask for and the index does not hold; kept until the index changes."""
        if self._leaves_of != (self._index.version, on) or len(self._leaves) > _CACHED_LEAVES:
            self._leaves, self._leaves_of = {}, (self._index.version, on)
        known = self._leaves
        for rule in rules:
            for _, node in nodes(rule):
                if isinstance(node, Members) and node.audience_id not in known:
                    known[node.audience_id] = await saved_audiences.frozen(
                        session, node.audience_id
                    )
                elif isinstance(node, HasTag) and node.days is not None and node not in known:
                    known[node] = await repository.bearers(session, node, on=on)
        return known
