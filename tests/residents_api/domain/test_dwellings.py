"""Dwellings: many ways of writing one place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.residents_api.domain import dwellings
from services.residents_api.domain.dwellings import Dwelling, Parts


@pytest.mark.parametrize(
    ("address", "dwelling"),
    [
        ("金沙小区3栋2单元201", ("金沙小区", "3", "2", "201")),
        ("金沙小区3栋2单元201室", ("金沙小区", "3", "2", "201")),
        ("金沙小区 3幢 2单元 201号", ("金沙小区", "3", "2", "201")),
        ("金沙小区三栋二单元201", ("金沙小区", "3", "2", "201")),
        ("金沙小区３栋２单元２０１", ("金沙小区", "3", "2", "201")),
        ("金沙小区3-2-201", ("金沙小区", "3", "2", "201")),
        ("金沙小区3号楼2单元201", ("金沙小区", "3", "2", "201")),
        ("四川省彭州市九尺镇金沙社区金沙小区3栋2单元201室", ("金沙小区", "3", "2", "201")),
        ("九尺镇金沙小区3栋2单元201", ("金沙小区", "3", "2", "201")),
        ("3-2-201", (None, "3", "2", "201")),
        ("3－2－201", (None, "3", "2", "201")),
        ("3/2/201", (None, "3", "2", "201")),
        ("3-201", (None, "3", None, "201")),
        ("3栋201", (None, "3", None, "201")),
        ("3栋2-201", (None, "3", "2", "201")),
        ("3#2单元301", (None, "3", "2", "301")),
        ("3栋2单元5楼502", (None, "3", "2", "502")),
        ("A区3栋201", ("A区", "3", None, "201")),
        ("金沙小区A栋1203", ("金沙小区", "A", None, "1203")),
        ("锦绣新村3栋201", ("锦绣新村", "3", None, "201")),
        ("一组团3栋2单元201", ("一组团", "3", "2", "201")),
        ("人民路12号", ("人民路", None, None, "12")),
        ("人民路12号3栋2单元201", ("人民路12号", "3", "2", "201")),
        ("2组15号", (None, "2组", None, "15")),
        ("二组15号", (None, "2组", None, "15")),
        ("第2村民小组15号", (None, "2组", None, "15")),
        ("玉源村2组15号", (None, "2组", None, "15")),
        ("彭州市九尺镇玉源村2组15号", (None, "2组", None, "15")),
        ("2社15号", (None, "2社", None, "15")),
        ("2组张家院子", (None, "2组", None, "张家院子")),
        ("3栋", (None, "3", None, None)),
        ("金沙小区A-3栋2单元201", ("金沙小区", "A-3", "2", "201")),
        ("金沙小区3栋301-1", ("金沙小区", "3", None, "301-1")),
        ("3-201-1", (None, "3", None, "201-1")),
        ("金沙小区301-1", ("金沙小区", None, None, "301-1")),
    ],
)
def test_addresses(address: str, dwelling: tuple[str | None, ...]) -> None:
    assert dwellings.locate(Parts(address=address)) == Dwelling(*dwelling)


@pytest.mark.parametrize(
    "address", ["金沙小区", "彭州市九尺镇金沙社区", "/", "", "无", "x" * 500, "-"]
)
def test_no_dwelling(address: str) -> None:
    assert dwellings.locate(Parts(address=address)) is None


@pytest.mark.parametrize(
    ("parts", "dwelling"),
    [
        (Parts("金沙小区", "", "3栋", "2单元", "201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙 小区", "", "三栋", "二单元", "201室"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3#", "2", "0201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3号楼", "第2单元", "#201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "03", "02", "201号房"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3栋", "2单元", "3-2-201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3栋", "2单元", "2-201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3栋", "", "3-2-201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3栋", "", "2-201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3栋", "", "2单元201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3栋", "2单元201", ""), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3-2", "", "201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3栋2单元", "", "201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3-2-201", "", ""), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "", "", "3-2-201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "", "", "3栋2单元201"), ("金沙小区", "3", "2", "201")),
        (Parts("", "", "金沙小区3栋", "2单元", "201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区3栋2单元201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "3栋", "/", "201"), ("金沙小区", "3", None, "201")),
        (Parts("金沙小区", "", "金沙小区3栋", "2", "201"), ("金沙小区", "3", "2", "201")),
        (Parts("金沙小区", "", "东3栋", "2", "201"), ("金沙小区", "东3", "2", "201")),
        (Parts("金沙小区", "", "", "", "A区3栋2单元201"), ("金沙小区", "A区3", "2", "201")),
        (Parts("", "", "3栋B座", "", "201"), (None, "3栋B", None, "201")),
        (Parts("", "", "A1", "", "B2"), (None, "A1", None, "B2")),
        (Parts("", "", "A-3", "2单元", "201"), (None, "A-3", "2", "201")),
        (Parts("", "", "A-3栋", "2单元", "201"), (None, "A-3", "2", "201")),
        (Parts("", "", "A-3", "", "201"), (None, "A-3", None, "201")),
        (Parts("", "", "3-2", "2", "201"), (None, "3", "2", "201")),
        (Parts("", "", "3-2", "1", "201"), (None, "3-2", "1", "201")),
        (Parts("", "", "3", "", "301-1"), (None, "3", None, "301-1")),
        (Parts("", "", "3", "2", "301-1"), (None, "3", "2", "301-1")),
        (Parts("", "", "", "", "301-1"), (None, None, None, "301-1")),
        (Parts("", "", "3", "", "3-201"), (None, "3", None, "201")),
        (Parts("", "", "3", "1", "2-201"), (None, "3", "1", "2-201")),
        (Parts("", "", "综合楼", "", "2"), (None, "综合楼", None, "2")),
        (Parts("", "", "2组", "", "15号"), (None, "2组", None, "15")),
        (Parts("", "", "二组", "", "15"), (None, "2组", None, "15")),
        (Parts("", "2", "", "", "15号"), (None, "2组", None, "15")),
        (Parts("", "第2村民小组", "", "", "15号"), (None, "2组", None, "15")),
        (Parts("", "2", "3栋", "", "201"), ("2组", "3", None, "201")),
        (Parts("", "2", "15号", "", ""), ("2组", "15", None, None)),
        (Parts("长" * 500, "", "3栋", "", "201"), (None, "3", None, "201")),
        (Parts("", "", "2组15号", "", ""), (None, "2组", None, "15")),
        (Parts("", "", "15号", "", ""), (None, "15", None, None)),
        (Parts("金沙小区", "", "", "", "201"), ("金沙小区", None, None, "201")),
    ],
    ids=str,
)
def test_levels(parts: Parts, dwelling: tuple[str | None, ...]) -> None:
    assert dwellings.locate(parts) == Dwelling(*dwelling)


@pytest.mark.parametrize(
    "parts",
    [
        Parts("金沙小区"),
        Parts("金沙小区", "", "3栋"),
        Parts("金沙小区", "", "3栋", "2单元"),
        Parts("/", "/", "/", "/", "/"),
        Parts("", "", "", "2单元"),
        Parts(room="长" * 200),
        Parts(room="长" * 31),
    ],
    ids=str,
)
def test_too_little_or_too_much_is_no_dwelling(parts: Parts) -> None:
    assert dwellings.locate(parts) is None


@given(
    st.integers(1, 99),
    st.integers(1, 9),
    st.integers(101, 3304),
    st.sampled_from(["栋", "幢", "号楼", "座", "#", "栋楼"[:1]]),
)
def test_one_place_however_it_is_written(building: int, unit: int, room: int, word: str) -> None:
    place = Dwelling("金沙小区", str(building), str(unit), str(room))
    for written in (
        Parts("金沙小区", "", f"{building}{word}", f"{unit}单元", f"{room}"),
        Parts("金沙小区", "", f"{building}", f"{unit}", f"{room}室"),
        Parts(address=f"金沙小区{building}{word}{unit}单元{room}"),
        Parts(address=f"金沙小区{building}-{unit}-{room}"),
        Parts("金沙小区", "", "", "", f"{building}-{unit}-{room}"),
    ):
        assert dwellings.locate(written) == place


parts_texts = st.text(alphabet="0123456789AB栋幢单元组号楼室社-第金沙小区三 /#", max_size=14)


@given(parts_texts, parts_texts, parts_texts, parts_texts, parts_texts)
def test_the_normal_form_is_stable(
    compound: str, group: str, building: str, unit: str, room: str
) -> None:
    found = dwellings.locate(Parts(compound, group, building, unit, room))
    if found is not None:
        assert found.identified
        assert all(value is None or value for value in (found.compound, found.building, found.room))


DISTINCT_BUILDINGS = (
    "1栋 2栋 东1栋 西1栋 A区1栋 B区1栋 一期1栋 二期1栋 A1栋 B1栋 A-1栋 A-2栋 1栋A座 1栋B座 1-1栋 1-2栋 "
    "综合楼 商铺1栋 临1栋 1组 1社 2组 红楼 10栋 A栋 1A栋 东区1-1栋 东区1-2栋"
)
DISTINCT_ROOMS = (
    "101 102 101-1 101-2 101A 101B A101 商铺101 门面101 1楼1号 2楼1号 -101 -102 1 11 101后 顶楼"
)
BUILDINGS, ROOMS = DISTINCT_BUILDINGS.split(), DISTINCT_ROOMS.split()
UNITS = ["", "1单元", "2单元", "A单元", "东单元", "西单元", "11单元"]


@pytest.mark.parametrize("compound", ["", "金沙小区"])
@pytest.mark.parametrize("unit", ["", "1单元"])
def test_different_places_stay_apart(compound: str, unit: str) -> None:
    buildings = [dwellings.locate(Parts(compound, "", b, unit, "301")) for b in BUILDINGS]
    assert None not in buildings
    assert len(set(buildings)) == len(BUILDINGS)
    rooms = [dwellings.locate(Parts(compound, "", "9栋", unit, room)) for room in ROOMS]
    assert None not in rooms
    assert len(set(rooms)) == len(ROOMS)
    units = {dwellings.locate(Parts(compound, "", "9栋", unit, "301")) for unit in UNITS}
    assert len(units) == len(UNITS)


@pytest.mark.parametrize(
    ("name", "compound", "building"),
    [
        ("金沙小区", "金沙小区", ""),
        ("金沙小区3栋", "金沙小区", "3栋"),
        ("锦绣家园", "锦绣家园", ""),
        ("3栋", "", "3栋"),
        ("金沙社区", "", ""),
        ("Sheet1", "", ""),
        ("说明", "", ""),
        ("台账", "", ""),
        ("2026", "", ""),
    ],
)
def test_sheets_named_after_a_place(name: str, compound: str, building: str) -> None:
    found = dwellings.of_sheet_name(name)
    assert (found.compound, found.building) == (compound, building)
