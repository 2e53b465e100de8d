"""Rows that must not land in a dwelling that is not theirs, nor a second person on one row."""

from datetime import date, datetime
from pathlib import Path

import pytest

from services.residents_api.domain.cells import Cell
from tests.residents_api.domain.ledgers import (
    HEADER,
    homes,
    number,
    read,
    read_rows,
    refusal,
    write_xlsx,
)

HOME = ("金沙小区", "3", "2", "201")
NOWHERE = (None, None, None, None)


def person(
    n: int,
    relation: str,
    compound: Cell = "",
    building: Cell = "",
    unit: Cell = "",
    room: Cell = "",
) -> list[Cell]:
    return [
        compound,
        building,
        unit,
        room,
        relation,
        f"人{'零一二三四五六七八九'[n]}",
        number(sequence=n),
    ]


# A statement, which no row makes that belongs to the one above.
UNKNOWN = ["不详", "无", "/", "-", "—", "未知", "待核", "待核实", "空", "暂无", "不清楚", "？"]


@pytest.mark.parametrize("word", UNKNOWN)
@pytest.mark.parametrize("relation", ["户主", "配偶", ""])
def test_who_says_that_there_is_no_dwelling_has_none(
    tmp_path: Path, word: str, relation: str
) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, relation, *[word] * 4),
        person(2, relation, "", "", "", word),
        person(3, relation, word, "", "", ""),
    )
    assert homes(rows) == [HOME] + [NOWHERE] * 3
    assert [row.codes for row in rows] == [(), *[("dwelling.missing",)] * 3]
    addresses = read_rows(
        tmp_path,
        ["姓名", "身份证号", "与户主关系", "住址"],
        ["张三", number(sequence=1), "户主", "金沙小区3栋2单元201"],
        ["李四", number(sequence=2), relation, word],
        ["王五", number(sequence=3), relation, f" {word}"],
    )
    assert homes(addresses) == [HOME, NOWHERE, NOWHERE]


def test_after_an_unknown_dwelling_nobody_lands_in_the_one_before(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, "子", "", "", "", "不详"),
        # A relative's household lives where it lived: these cells are all blank.
        person(2, "女"),
        person(3, "户主", "", "4栋", "1单元", "待核"),
        person(4, "配偶"),
        # The level above is the one that was said last.
        person(5, "户主", "", "", "", "302"),
        person(6, "户主", "金沙小区", "不详", "", "301"),
        person(7, "户主", "", "", "", "302"),
    )
    other = ("金沙小区", "4", "1", "302")
    assert homes(rows) == [HOME, NOWHERE, HOME, NOWHERE, NOWHERE, other, NOWHERE, NOWHERE]


def test_a_cell_of_invisible_characters_is_blank(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, "配偶", "\u200b", " ", "\u3000", "\ufeff"),
    )
    assert homes(rows) == [HOME, HOME]


@pytest.mark.parametrize(
    "room",
    [
        *("1-Mar", "01-Mar", "Mar-01", "3-Feb-20", "3月2日", "2020年3月2日", "2020年3月"),
        *("2020-03-02 00:00:00", "2020-03-02", "2020/3/2", "2020.3.2", "3/2/2020 0:00"),
        *(date(2026, 3, 2), datetime(2020, 3, 2, 0, 0)),  # noqa: DTZ001 - a cell has no zone
    ],
)
def test_a_number_that_became_a_date_is_lost(tmp_path: Path, room: Cell) -> None:
    home = ("户主", "金沙小区", "3栋", "2单元")
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, *home, "201"),
        person(1, *home, room),
        person(2, "户主", "金沙小区", "", "", room),
        person(3, "配偶"),
        person(4, "户主", "金沙小区", room, "", "202"),
    )
    assert homes(rows) == [HOME] + [NOWHERE] * 4
    assert {row.codes for row in rows[1:]} == {("dwelling.missing",)}
    for header in ("住址", "门牌号", "楼栋房号"):
        (row,) = read_rows(tmp_path, ["姓名", "身份证号", header], ["张三", number(), room])
        assert row.codes == ("dwelling.missing",), header


@pytest.mark.parametrize(
    ("room", "home"),
    [
        ("3-2", ("3", None, "2")),
        ("1-1-201", ("1", "1", "201")),
        ("3-2-2020", ("3", "2", "2020")),
        ("A座1203", ("A", None, "1203")),
        ("12-3-1", ("12", "3", "1")),
        ("2020-1", (None, None, "2020-1")),
        ("3/2", ("3", None, "2")),
    ],
)
def test_honest_numbers_stay(tmp_path: Path, room: str, home: tuple[str | None, ...]) -> None:
    (row,) = read_rows(tmp_path, ["姓名", "身份证号", "房号"], ["张三", number(), room])
    assert (homes([row])[0][1:], row.codes) == (home, ())


def test_two_persons_side_by_side_are_refused(tmp_path: Path) -> None:
    header = ["房号", "姓名", "姓名", "身份证号", "身份证号码"]
    two = ["1-2-3", "张三", "李四", number(sequence=1), number(sequence=2)]
    path = write_xlsx(tmp_path / "a.xlsx", {"台账": [header, two]})
    assert refusal(path) == "ledger.duplicate_columns"
    blocks = ["姓名", "身份证号", "房号"] * 2
    rows = [["张三", number(sequence=1), "1-2-3"] * 2, ["李四", number(sequence=3), "1-2-4"]]
    # The same twice loses nobody.
    path = write_xlsx(tmp_path / "b.xlsx", {"台账": [blocks, *rows]})
    assert [row.codes for row in read(path)] == [(), ()]
    rows[1] += ["王五", number(sequence=5), "1-2-5"]
    path = write_xlsx(tmp_path / "c.xlsx", {"甲": [blocks[:3], rows[0][:3]], "乙": [blocks, *rows]})
    assert refusal(path) == "ledger.duplicate_columns"


def test_others_beside_the_person_are_no_second_person(tmp_path: Path) -> None:
    groups = ["房号", "房主信息", "", "居民信息", "", "监护人信息", ""]
    names = ["", "姓名", "身份证号", "姓名", "身份证号", "姓名", "身份证号"]
    rows = ["1-2-3", "甲", number(sequence=1), "张三", number(sequence=3), "乙", number(sequence=5)]
    (row,) = read_rows(tmp_path, groups, names, rows)
    assert (row.name, row.id_number) == ("张三", number(sequence=3))
    # One person with two numbers, or a second name without any.
    for header, cells in (
        (["姓名", "身份证号", "证件号码", "房号"], ["张三", number(), "E12345678", "1-2-3"]),
        (["姓名", "身份证号", "姓名", "房号"], ["张三", number(), "李四", "1-2-3"]),
        (
            ["姓名", "身份证号", "出生年月", "出生日期", "房号"],
            ["张三", number(), "1990.5", "1990-05-01", "1-2-3"],
        ),
    ):
        (row,) = read_rows(tmp_path, header, cells)
        assert (row.name, row.id_number, row.codes) == ("张三", number(), ())
