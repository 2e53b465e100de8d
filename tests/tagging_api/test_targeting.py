"""Audiences as numbers and ids."""

from datetime import date

from services.common.areas import Area
from services.tagging_api.domain.rules import Compare, FieldName, Operator
from services.tagging_api.service.targeting import Targeting
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import person

CITY = (Area.parse("510182"),)
ON = date(2026, 11, 23)


async def test_members_are_numbers_and_lead_to_ids(town: Town) -> None:
    women = [person(sex="female") for _ in range(5)]
    await town.live_here(*women, person(sex="male"), person(sex="female", places=[]))
    targeting: Targeting = town.tagging.state["targeting"]
    rule = Compare(FieldName.SEX, Operator.EQ, ("female",))
    async with town.tagging.state["sessions"].read() as session:
        members = await targeting.members(session, rule, areas=CITY, on=ON)
        assert len(members) == await targeting.count(session, rule, areas=CITY, on=ON) == 5
        first = await targeting.ids(session, members, after=0, limit=3)
        rest = await targeting.ids(session, members, after=first[-1][0], limit=3)
        assert await targeting.ids(session, members, after=rest[-1][0], limit=3) == []
    found = first + rest
    assert [number for number, _ in found] == sorted(members)
    assert {str(each) for _, each in found} == {each["id"] for each in women}
