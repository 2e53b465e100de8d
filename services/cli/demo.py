"""The demo accounts: who they are, what they may do, where."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.common.access import Role

TOWN = "510182104"
CITY = TOWN[:6]
VILLAGE = f"{TOWN}006"
GRID = f"{VILLAGE}001"

# What the table says beside an account: how people call the areas.
AREA_NAMES: Mapping[str, str] = {
    CITY: "彭州市", TOWN: "九尺镇", VILLAGE: "金沙社区", GRID: "金沙社区第一网格",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """`role` CLIENT is an API client; RESIDENT is tied to a woman of 25 to 35 in 金沙小区."""

    name: str
    role: Role
    area: str


ACCOUNTS = (
    DemoAccount("city", Role.CITY_OFFICER, CITY),
    DemoAccount("town", Role.TOWN_OFFICER, TOWN),
    DemoAccount("village", Role.COMMUNITY_WORKER, VILLAGE),
    DemoAccount("grid", Role.GRID_WORKER, GRID),
    DemoAccount("auditor", Role.AUDITOR, CITY),
    DemoAccount("admin", Role.ADMIN, CITY),
    DemoAccount("platform", Role.CLIENT, CITY),
    DemoAccount("resident", Role.RESIDENT, VILLAGE),
)
