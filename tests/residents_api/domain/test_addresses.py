"""Addresses in full, as they are written on an envelope."""

import pytest

from services.residents_api.domain.addresses import standard_address, village_name

TOWN = ["四川省", "成都市", "彭州市", "九尺镇"]


@pytest.mark.parametrize(
    ("committee", "village"),
    [
        ("金沙社区居委会", "金沙社区"),
        ("金沙社区居民委员会", "金沙社区"),
        ("天府居委会", "天府社区"),
        ("仁里村村委会", "仁里村"),
        ("仁里村委会", "仁里村"),
        ("仁里村村民委员会", "仁里村"),
        ("仁里村", "仁里村"),
        ("居委会", "居委会"),
    ],
)
def test_a_village_is_not_its_committee(committee: str, village: str) -> None:
    assert village_name(committee) == village


@pytest.mark.parametrize(
    ("parts", "address"),
    [
        (("金沙小区", "3", "2", "201"), "金沙社区金沙小区3栋2单元201室"),
        (("金沙小区", "3", None, "201"), "金沙社区金沙小区3栋201室"),
        (("金沙小区", "A区3", "2", "201"), "金沙社区金沙小区A区3栋2单元201室"),
        ((None, "2组", None, "15"), "金沙社区2组15号"),
        ((None, None, None, "15"), "金沙社区15号"),
        (("2组", "3", "1", "201"), "金沙社区2组3栋1单元201室"),
        (("金沙小区", "综合楼", None, "门面1室"), "金沙社区金沙小区综合楼门面1室"),
        (("金沙小区", None, None, None), "金沙社区金沙小区"),
    ],
)
def test_an_address_in_full(
    parts: tuple[str | None, str | None, str | None, str | None], address: str
) -> None:
    compound, building, unit, room = parts
    full = standard_address(
        [*TOWN, "金沙社区居委会"], compound=compound, building=building, unit=unit, room=room
    )
    assert full == "四川省成都市彭州市九尺镇" + address


def test_without_divisions() -> None:
    assert standard_address([], compound=None, building=None, unit=None, room="1") == "1号"
