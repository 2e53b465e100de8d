"""Where the compounds of the demo town stand, and what is known of them beside their people.

九尺镇 lies around 104.01 E, 30.93 N. What a compound is like follows from its name: the same
compound is the same every time.
"""

import hashlib
import math
from dataclasses import dataclass

from services.cli.synth.housing import DEMO_COMPOUND, DEMO_VILLAGE

CENTRE_LONGITUDE, CENTRE_LATITUDE = 104.010, 30.930
_METRES_PER_DEGREE = 111_320
# The communities lie around the market, the hamlets further out, and none further than this.
FARTHEST_METRES = 4_000
_VILLAGE_METRES = 350

_COMPANIES = ("安居物业", "和润物业", "九尺物业服务", "清泉物业", "锦程物业", "")
_ROADS = ("金沙路", "九陇大道", "清泉街", "文化街", "农坝街", "天府中路")


@dataclass(frozen=True, slots=True)
class Site:
    """WGS-84, degrees; codes as in the register's code lists, empty for none."""

    longitude: float
    latitude: float
    address: str
    risk_level: str
    property_company: str
    committee: str


def site(village_code: str, compound: str) -> Site:
    if (village_code, compound) == (DEMO_VILLAGE, DEMO_COMPOUND):
        return Site(104.01263, 30.93123, "九尺镇金沙路18号", "medium", "安居物业", "owners")
    of_village = _draws(village_code)
    bearing, out = 2 * math.pi * of_village[0], math.sqrt(of_village[1])
    of_compound = _draws(f"{village_code}|{compound}")
    turn, near = 2 * math.pi * of_compound[0], math.sqrt(of_compound[1])
    metres_out, metres_near = (FARTHEST_METRES - _VILLAGE_METRES) * out, _VILLAGE_METRES * near
    east = metres_out * math.sin(bearing) + metres_near * math.sin(turn)
    north = metres_out * math.cos(bearing) + metres_near * math.cos(turn)
    parallel = _METRES_PER_DEGREE * math.cos(math.radians(CENTRE_LATITUDE))
    company = _COMPANIES[int(of_compound[3] * len(_COMPANIES))]
    road = _ROADS[int(of_compound[4] * len(_ROADS))]
    return Site(
        longitude=round(CENTRE_LONGITUDE + east / parallel, 6),
        latitude=round(CENTRE_LATITUDE + north / _METRES_PER_DEGREE, 6),
        address=f"九尺镇{road}{1 + int(of_compound[5] * 240)}号",
        risk_level=_risk(of_compound[2]),
        property_company=company,
        committee="owners" if company else "family",
    )


def _risk(draw: float) -> str:
    return "low" if draw < 0.72 else "medium" if draw < 0.93 else "high"


def _draws(text: str) -> list[float]:
    """Six numbers from 0 to 1 that follow from the text."""
    digest = hashlib.sha256(text.encode()).digest()
    return [int.from_bytes(digest[at : at + 4]) / 2**32 for at in range(0, 24, 4)]
