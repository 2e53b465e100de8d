"""What this service keeps of the register: who may be asked for, and where they live."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.common import clock, outbox
from services.common.clock import Clock
from services.common.database import WriteSession
from services.common.projection import Fact
from services.tagging_api.repository import (
    assignments,
    compounds,
    departures,
    figures,
    index,
    villages,
)
from services.tagging_api.repository import residents as repository
from services.tagging_api.repository.residents import ResidentState
from services.tagging_api.service import events, labels

SOURCE = "residents_api"
RESIDENT_CHANGED = "cn.shequ.residents.resident.changed"
AREA_CHANGED = "cn.shequ.residents.area.changed"
# So many residents a statement: a page may bring 200,000, and a statement has its time limit.
_AT_ONCE = 10_000


class ResidentsProjection:
    """The narrow copy of people and places that rules are answered from."""

    source = SOURCE
    types: Sequence[str] = (RESIDENT_CHANGED, AREA_CHANGED)

    def __init__(self, now: Clock) -> None:
        self._clock = now

    async def apply(self, session: WriteSession, facts: Sequence[Fact], generation: int) -> None:
        areas = [area for fact in facts if fact.type == AREA_CHANGED for area in fact.data["areas"]]
        found = [area for area in areas if area["kind"] == "compound"]
        if found:
            await compounds.apply(session, found, generation=generation)
        divisions = [area for area in areas if area["kind"] == "division"]
        await villages.apply(session, divisions, generation=generation)
        await figures.name_areas(session, areas, generation=generation)
        states = _newest(
            state
            for fact in facts
            if fact.type == RESIDENT_CHANGED
            for state in fact.data["residents"]
        )
        for start in range(0, len(states), _AT_ONCE):
            await self._apply_some(session, states[start : start + _AT_ONCE], generation)

    async def _apply_some(
        self, session: WriteSession, states: Sequence[Mapping[str, Any]], generation: int
    ) -> None:
        newer = await repository.apply_states(session, states, generation=generation)
        applied = [state for state in states if UUID(state["id"]) in newer]
        if not applied:
            return
        # One who moves leaves a household smaller and makes another larger.
        left = await index.households(session, newer)
        await repository.replace_places(session, applied)
        joined = await index.households(session, newer)
        await outbox.emit(session, *events.resident_changed(newer | left | joined))
        fates = {UUID(state["id"]): repository.state_of(state) for state in applied}
        merged = {each for each, fate in fates.items() if fate is ResidentState.MERGED}
        erased = {each for each, fate in fates.items() if fate is ResidentState.ERASED}
        if merged:
            await self._merge(session, merged)
        if erased:
            await self._strip(session, erased)
            await departures.erase(session, erased)
        labelled = [state for state in applied if UUID(state["id"]) not in merged | erased]
        seen = await repository.remember_labels(session, labelled)
        await labels.assign(session, seen, at=self._clock.now())

    async def _merge(self, session: WriteSession, merged: Collection[UUID]) -> None:
        survivors = await departures.survivors(session, merged)
        if survivors:
            on = clock.today(self._clock)
            pairs = await departures.to_hand_over(session, survivors)
            before = await assignments.borne(session, pairs, on=on)
            await departures.hand_over(session, survivors)
            given = await assignments.borne(session, pairs, on=on) - before
            await outbox.emit(session, *events.assignment_changed(given, assigned=True))
            # By whom and since when they bear a tag is different, too.
            await outbox.emit(session, *events.resident_changed(survivors.values()))
        if orphans := set(merged) - survivors.keys():
            # Whom they were merged into has been erased, and with them all that was theirs.
            await departures.erase(session, orphans)
        await self._strip(session, merged)

    async def _strip(self, session: WriteSession, gone: Collection[UUID]) -> None:
        taken_off = await departures.strip(session, gone)
        await outbox.emit(session, *events.assignment_changed(taken_off, assigned=False))

    async def forget_before(self, session: WriteSession, generation: int) -> None:
        """Leave tombstones of whom a snapshot did not mention."""
        await departures.forget_compounds(session, generation)
        await villages.forget_before(session, generation)
        await figures.forget_names(session, generation)
        gone = await departures.not_mentioned(session, generation)
        for start in range(0, len(gone), _AT_ONCE):
            some = gone[start : start + _AT_ONCE]
            left = await index.households(session, some)
            await self._strip(session, some)
            await departures.bury(session, some)
            await outbox.emit(session, *events.resident_changed({*some, *left}))


def _newest(states: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One state per resident: the one of the highest version."""
    newest: dict[str, Mapping[str, Any]] = {}
    for state in states:
        known = newest.get(state["id"])
        if known is None or known["version"] < state["version"]:
            newest[state["id"]] = state
    return list(newest.values())
