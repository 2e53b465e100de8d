"""What the register tells of compounds is what its neighbours may rely on."""

from typing import Any

import httpx

from services.common.access import Role
from tests.contracts.conftest import Town
from tests.residents_api.feeds import areas_told, position, snapshot
from tests.residents_api.ledgers import VILLAGE, person, succeeded
from tests.residents_api.people import number

FIELDS = {
    *("kind", "code", "name", "village_code"),
    *("longitude", "latitude", "risk_level", "households", "population"),
}


async def changed(client: httpx.AsyncClient, compound_id: str, **values: Any) -> None:
    path = f"/v1/compounds/{compound_id}"
    tag = (await client.get(path)).headers["etag"]
    answer = await client.patch(path, json=values, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text


async def test_a_compound_is_told_with_where_it_is_and_who_lives_there(town: Town) -> None:
    worker = town.register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    start = await position(town.register)
    await succeeded(
        worker,
        person("屋主一", number(sequence=1), room="101"),
        person("屋主二", number(sequence=3), room="102"),
    )
    new, counted = (
        area for area in await areas_told(town.register, start) if area["kind"] == "compound"
    )
    assert new.keys() == counted.keys() == FIELDS
    unknown = (new["longitude"], new["risk_level"], new["households"], new["population"])
    assert unknown == (None, None, None, None)
    assert (counted["households"], counted["population"]) == (2, 2)
    start = await position(town.register)
    await changed(
        worker,
        new["code"],
        risk_level="medium",
        households_declared=480,
        coordinates={"longitude": 104.0151, "latitude": 30.9288, "coordinate_system": "gcj02"},
        contacts=[{"role": "property_manager", "name": "欧阳物业", "phone": "13900001111"}],
    )
    (told,) = await areas_told(town.register, start)
    assert told.keys() == FIELDS
    assert (told["risk_level"], told["households"], told["population"]) == ("medium", 480, 2)
    assert isinstance(told["longitude"], float)
    assert isinstance(told["latitude"], float)
    # In WGS-84: not where GCJ-02 says.
    assert 0.001 < 104.0151 - told["longitude"] < 0.01
    assert "欧阳" not in str(told)
    everything = (await snapshot(town.register))["cn.shequ.residents.area.changed"]
    assert [a for a in everything if a["code"] == new["code"]] == [told]
