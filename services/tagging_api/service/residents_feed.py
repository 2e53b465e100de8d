"""What this service keeps of the register: who may be asked for, and where they live."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.common import outbox
from services.common.clock import Clock
from services.common.database import WriteSession
from services.common.projection import Fact
from services.tagging_api.repository import residents as repository
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

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def apply(self, session: WriteSession, facts: Sequence[Fact], generation: int) -> None:
        compounds = {
            area["code"]: {"id": area["code"], "village_code": area["village_code"]}
            for fact in facts
            if fact.type == AREA_CHANGED
            for area in fact.data["areas"]
            if area["kind"] == "compound"
        }
        if compounds:
            await repository.apply_compounds(
                session, list(compounds.values()), generation=generation
            )
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
        if applied:
            await repository.replace_places(session, applied)
            seen = await repository.remember_labels(session, applied)
            await labels.assign(session, seen, at=self._clock.now())

    async def forget_before(self, session: WriteSession, generation: int) -> None:
        taken_off = await repository.forget_before(session, generation)
        await outbox.emit(session, *events.assignment_changed(taken_off, assigned=False))


def _newest(states: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One state per resident: the one of the highest version."""
    newest: dict[str, Mapping[str, Any]] = {}
    for state in states:
        known = newest.get(state["id"])
        if known is None or known["version"] < state["version"]:
            newest[state["id"]] = state
    return list(newest.values())
