"""The keeper: lets residents bear a tag exactly as long as its rule finds them.

It follows this service's own feed. An event names residents of whom something has changed, or who got
or lost a tag that a rule asks for: their memberships are evaluated again, as state and not as
differences, so neither order nor repetition matters. What it finds goes into the same feed, and so to
rules that ask for tags of rules. Each midnight in Shanghai it looks at those for whom the day may
change something, and at nobody else; days that were missed are made up for one by one. A rule that is
new is evaluated for everybody, batch by batch.

Memberships of a tag always are those of its `rule_day`, whatever the clock says, so that a night later
knows whom to look at. One process keeps at a time: it holds the keeper's row. Each step is one
transaction, in which the keeper moves on together with what it found; one that is killed has done
nothing, and the next process does the same again, under the same ids.
"""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final
from uuid import UUID

import structlog
from pydantic import ValidationError

from services.common import clock as common_clock
from services.common import outbox
from services.common.clock import Clock
from services.common.database import UNREACHABLE, Notifications, Sessions, WriteSession
from services.tagging_api.domain import rules as domain
from services.tagging_api.domain.crossings import crossings
from services.tagging_api.domain.rules import Rule
from services.tagging_api.models import Tag, TagKeeper
from services.tagging_api.repository import assignments
from services.tagging_api.repository import tag_keeping as repository
from services.tagging_api.repository import tag_memberships as memberships
from services.tagging_api.repository.tag_memberships import Ids, Noted
from services.tagging_api.schemas.tag_memberships import MembershipCause, MembershipKind
from services.tagging_api.schemas.tags import RuleState
from services.tagging_api.service import events, tags

log = structlog.get_logger(__name__)

# Between two looks: changes that come one by one are evaluated together.
_PAUSE_SECONDS: Final = 0.02
# Without a notification: for a lost one, and for midnight.
_LOOK_AGAIN_SECONDS: Final = 1.0
# Events of up to a thousand residents, and residents, in one transaction.
_EVENTS: Final = 20
_BATCH: Final = 20_000
# After so many missed days, they are made up for at once: nobody asks any more who was infant when.
_DAYS_ONE_BY_ONE: Final = 40


class Keeper:
    """Keeps tags in one process; `step` is one transaction."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        clock: Clock,
        publisher: outbox.Publisher,
        batch: int = _BATCH,
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._publisher = publisher
        self._batch = batch

    async def run(self, notifications: Notifications) -> None:
        """For ever."""
        while True:
            notified = notifications.next
            try:
                worked = await self.step()
            except UNREACHABLE as failed:
                log.warning("tags.interrupted", error=type(failed).__name__)
                worked = False
            if not worked:
                await notifications.wait(notified, timeout=_LOOK_AGAIN_SECONDS)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def step(self) -> bool:
        """Do what is next. False if there is nothing to do, or another process keeps."""
        async with self._sessions.write() as session:
            keeper = await repository.claim(session)
            if keeper is None:
                return False
            worked = await self._next(session, keeper)
        if outbox.has_events(session):
            # Rules that ask for these tags are next, and they read what is numbered.
            await self._publisher.publish_if_reachable()
        return worked

    async def _next(self, session: WriteSession, keeper: TagKeeper) -> bool:
        kept = await repository.kept(session)
        if await self._follow(session, keeper, kept):
            return True
        today = common_clock.today(self._clock)
        if keeper.day is None or keeper.day < today:
            await self._tell_periods(session, keeper, today)
            return True
        behind = [
            (tag.rule_day, tag.code)
            for tag in kept
            if tag.rule_state == RuleState.READY
            and tag.rule is not None
            and tag.rule_day is not None
            and tag.rule_day < today
        ]
        if behind:
            await self._advance(session, min(behind)[1], today)
            return True
        computing = [tag.code for tag in kept if tag.rule_state == RuleState.COMPUTING]
        if computing:
            await self._compute(session, computing[0], today)
            return True
        return False

    async def _follow(self, session: WriteSession, keeper: TagKeeper, kept: Sequence[Tag]) -> bool:
        """Evaluate those who have changed. False if nothing was said since."""
        rules = {tag.code: (tag, rule) for tag in kept if (rule := _meaning(tag)) is not None}
        asked = {code: {n for _, n in domain.tags(rule)} for code, (_, rule) in rules.items()}
        found = await repository.changes(
            session,
            after=keeper.position,
            of_residents=events.RESIDENT_CHANGED,
            of_assignments=events.ASSIGNMENT_CHANGED,
            asked=set[str]().union(*asked.values()),
            at_most=_EVENTS,
        )
        if found.missed:
            log.warning("tags.missed_changes")
            await repository.evaluate_everybody(session)
        if found.position == keeper.position:
            return False
        keeper.position = found.position
        for code, (tag, rule) in rules.items():
            changed = found.residents.union(
                *(who for named, who in found.bearers.items() if named in asked[code])
            )
            # Not before it was first evaluated for anybody: that has no day yet.
            if changed and tag.rule_day is not None:
                await self._settle(
                    session,
                    code,
                    rule,
                    memberships.these(changed),
                    day=tag.rule_day,
                    cause=MembershipCause.DATA_CHANGED,
                )
        return True

    async def _advance(self, session: WriteSession, code: str, today: date) -> None:
        """Move a tag on by a day, or by many at once if there are too many."""
        tag = await repository.locked(session, code)
        rule, day = _meaning(tag), tag.rule_day
        if rule is None or day is None or day >= today:
            return
        one_by_one = (today - day).days <= _DAYS_ONE_BY_ONE
        until = day + timedelta(days=1) if one_by_one else today
        those = memberships.crossing(
            crossings(rule, after=day, until=until), after=day, until=until
        )
        cause = MembershipCause.DAY_CHANGED
        await self._settle(session, code, rule, those, day=until, cause=cause)
        tag.rule_day = until

    async def _compute(self, session: WriteSession, code: str, today: date) -> None:
        """Evaluate the next batch of everybody for a rule that is new or gone."""
        tag = await repository.locked(session, code)
        if tag.rule_state != RuleState.COMPUTING:
            return
        if tag.rule_total is None:
            tag.rule_total = await memberships.everybody(session)
        day = tag.rule_day = tag.rule_day or today
        last = await memberships.nth_after(session, tag.rule_after, n=self._batch)
        those = memberships.stretch_of_ids(tag.rule_after, last)
        rule = _meaning(tag)
        if rule is not None or tag.rule is None:
            cause = MembershipCause.RULE_CHANGED
            await self._settle(session, code, rule, those, day=day, cause=cause)
        if last is not None:
            tag.rule_after = last
            tag.rule_done = min((tag.rule_done or 0) + self._batch, tag.rule_total)
            return
        tag.rule_state = RuleState.READY if tag.rule is not None else None
        tag.rule_after, tag.rule_done = None, tag.rule_total

    async def _settle(
        self,
        session: WriteSession,
        code: str,
        rule: Rule | None,
        those: Ids,
        *,
        day: date,
        cause: MembershipCause,
    ) -> None:
        """Bring memberships of some residents up to date, and say who came and who left."""
        now = self._clock.now()
        entered, left = await memberships.settle(session, code, rule, those, on=day, at=now)
        moved = [
            *((each, MembershipKind.ENTERED) for each in entered),
            *((each, MembershipKind.LEFT) for each in left),
        ]
        if not moved:
            return
        numbers = await memberships.last_numbers(session, code, [each for each, _ in moved])
        noted = [_noted(code, each, kind, numbers.get(each, 0) + 1, day) for each, kind in moved]
        await memberships.note(session, code, noted, cause=cause, day=day, at=now)
        if left:
            await memberships.forget_departed(session, left)
        nth = str(max(each.n for each in noted))
        await events.tell(
            session,
            ((code, each) for each, _ in moved),
            on=common_clock.today(self._clock),
            cause=f"{cause}/{day}/{nth}",
        )

    async def _tell_periods(self, session: WriteSession, keeper: TagKeeper, today: date) -> None:
        """Assignments that began or ended since the last day say so."""
        if keeper.day is not None:
            pairs = await assignments.turning(session, after=keeper.day, until=today)
            await events.tell(session, pairs, on=today, cause=f"period/{today}")
        keeper.day = today


def _noted(code: str, resident_id: UUID, kind: MembershipKind, n: int, day: date) -> Noted:
    # The nth time that this resident came or went, on that day: the same whoever finds it, and when.
    found = events.stable_id("membership", code, str(resident_id), str(n), day.isoformat(), kind)
    return Noted(resident_id, n, found, kind)


def _meaning(tag: Tag) -> Rule | None:
    try:
        return tags.meaning(tag)
    except ValidationError:
        # Stored by another version: says nothing to this one, and is left as it is.
        log.warning("tag.rule_unreadable", tag=tag.code)
        return None
