"""Where the demo town's compounds stand."""

import math

from services.cli.synth.housing import DEMO_COMPOUND, DEMO_VILLAGE
from services.cli.synth.sites import CENTRE_LATITUDE, CENTRE_LONGITUDE, FARTHEST_METRES, site
from services.residents_api.domain.code_lists import CODE_LISTS

VILLAGES = [f"510182104{serial:03}" for serial in range(1, 12)]
NAMES = [
    DEMO_COMPOUND,
    *(f"{name}{n}期" for name in ("清泉花园", "金沙佳苑") for n in range(1, 20)),
]


def test_compounds_lie_around_the_market_and_apart() -> None:
    sites = {(v, n): site(v, n) for v in VILLAGES for n in NAMES}
    assert len({(s.longitude, s.latitude) for s in sites.values()}) == len(sites)
    for of in sites.values():
        east = (of.longitude - CENTRE_LONGITUDE) * math.cos(math.radians(CENTRE_LATITUDE))
        assert math.hypot(east, of.latitude - CENTRE_LATITUDE) * 111_320 < FARTHEST_METRES
        for name, code in (("risk_level", of.risk_level), ("committee_kind", of.committee)):
            assert code in {entry.code for entry in CODE_LISTS[name].entries}
    assert {of.risk_level for of in sites.values()} == {"low", "medium", "high"}


def test_a_compound_is_the_same_every_time() -> None:
    assert site(VILLAGES[0], "清泉花园") == site(VILLAGES[0], "清泉花园")
    assert site(VILLAGES[0], "清泉花园") != site(VILLAGES[1], "清泉花园")
    assert site(DEMO_VILLAGE, DEMO_COMPOUND).address == "九尺镇金沙路18号"
