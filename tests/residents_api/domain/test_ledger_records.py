"""Which rows are persons, and where they live."""

from pathlib import Path

import pytest

from services.residents_api.domain.cells import Cell
from services.residents_api.domain.ledger import records
from services.residents_api.domain.ledger.workbook import open_ledger
from tests.residents_api.domain import ledgers
from tests.residents_api.domain.ledgers import (
    HEADER,
    homes,
    number,
    read,
    read_rows,
    write_xlsx,
)

HOME = ("金沙小区", "3", "2", "201")
NEXT = ("金沙小区", "3", "2", "202")
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


def test_members_without_cells_live_with_the_row_above(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, "配偶"),
        person(2, "子"),
        person(3, "户主", "金沙小区", "3栋", "2单元", "202"),
        person(4, "配偶"),
    )
    assert homes(rows) == [HOME] * 3 + [NEXT] * 2


def test_a_head_without_dwelling_has_none_nor_have_its_members(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, "户主"),
        person(2, "配偶"),
        person(3, "户主", "", "", "", "202"),
        person(4, "配偶"),
    )
    assert homes(rows) == [HOME, NOWHERE, NOWHERE, NEXT, NEXT]
    assert [row.rejected for row in rows] == [False, True, True, False, False]


def test_a_merged_range_houses_members_but_no_second_head(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, "配偶"),
        person(2, "户主"),
        person(3, "户主", "金沙小区", "3栋", "2单元", "202"),
        merges=[(1, column, 3, column) for column in range(4)],
    )
    assert homes(rows) == [HOME, HOME, NOWHERE, NEXT]


def test_a_compound_merged_over_many_households(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, "配偶"),
        person(2, "户主", "", "", "", "202"),
        person(3, "户主", "", "4栋", "1单元", "101"),
        person(4, "子"),
        person(5, "户主", "锦绣家园", "1栋", "1单元", "101"),
        merges=[(1, 0, 5, 0), (1, 1, 3, 1), (1, 2, 3, 2), (1, 3, 2, 3)],
    )
    other = ("金沙小区", "4", "1", "101")
    assert homes(rows) == [HOME, HOME, NEXT, other, other, ("锦绣家园", "1", "1", "101")]


def test_two_heads_under_one_merged_room_with_the_building_repeated(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, "户主", "金沙小区", "3栋", "2单元", ""),
        merges=[(1, 3, 2, 3)],
    )
    assert homes(rows) == [HOME, HOME]


def test_levels_said_once_hold_for_the_rows_below(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, "户主", "", "", "", "202"),
        person(2, "户主", "", "", "1单元", "101"),
        person(3, "户主", "", "4栋", "1单元", "101"),
        person(4, "户主", "", "5栋", "", "101"),
        person(5, "户主", "锦绣家园", "", "", "101"),
        person(6, "户主", "金沙小区", "3栋", "2单元", "301"),
        person(7, "户主", "", "", "", "301-1"),
        person(8, "户主", "", "", "", "4-1-101"),
    )
    assert homes(rows)[6:] == [
        ("金沙小区", "3", "2", "301"),
        ("金沙小区", "3", "2", "301-1"),
        ("金沙小区", "4", "1", "101"),
    ]
    assert homes(rows)[:6] == [
        HOME,
        NEXT,
        ("金沙小区", "3", "1", "101"),
        ("金沙小区", "4", "1", "101"),
        ("金沙小区", "5", None, "101"),
        ("锦绣家园", None, None, "101"),
    ]


def test_upper_levels_repeated_on_a_members_row(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, "配偶", "金沙小区"),
        person(2, "子", "金沙小区", "3栋"),
        person(3, "户主", "金沙小区"),
        person(4, "配偶", "金沙小区"),
        person(5, "其他", "锦绣家园"),
    )
    assert homes(rows) == [HOME, HOME, HOME, NOWHERE, NOWHERE, NOWHERE]


def test_a_villagers_group_stands_in_no_compound(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, "户主", "", "2组", "", "15号"),
        person(2, "配偶"),
        person(3, "户主", "", "", "", "16号"),
        person(4, "户主", "/", "5栋", "/", "101"),
    )
    assert homes(rows) == [
        HOME,
        (None, "2组", None, "15"),
        (None, "2组", None, "15"),
        (None, "2组", None, "16"),
        (None, "5", None, "101"),
    ]


def test_a_group_column(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        ["村（社区）", "组", "门牌号", "姓名", "身份证号"],
        ["玉源村", 2.0, "15号", "张三", number(sequence=1)],
        ["", "", "", "李四", number(sequence=2)],
        ["", "", 16.0, "王五", number(sequence=3)],
        ["", "3", "1", "赵六", number(sequence=4)],
    )
    assert [home[1:] for home in homes(rows)] == [
        ("2组", None, "15"),
        ("2组", None, "15"),
        ("2组", None, "16"),
        ("3组", None, "1"),
    ]
    assert [row.village for row in rows] == ["玉源村"] * 3 + [None]


def test_ditto_marks(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        person(1, "配偶", "同上", "同上", "〃", "″"),
        person(2, "户主", "〃", "〃", "〃", 202.0),
    )
    assert homes(rows) == [HOME, HOME, NEXT]


@pytest.mark.parametrize(
    "header", ["住址", "房屋地址", "现住址", "居住地址", "楼栋房号", "楼栋/单元/房号"]
)
def test_addresses_in_one_column(tmp_path: Path, header: str) -> None:
    rows = read_rows(
        tmp_path,
        ["姓名", "身份证号", "与户主关系", header],
        ["张三", number(sequence=1), "户主", "金沙小区3栋2单元201"],
        ["李四", number(sequence=2), "配偶", ""],
        ["王五", number(sequence=3), "户主", ""],
        ["赵六", number(sequence=4), "户主", "3-2-202"],
        ["钱七", number(sequence=5), "户主", "2组15号"],
        ["孙八", number(sequence=6), "子", "同上"],
        ["周九", number(sequence=7), "户主", "金沙小区"],
    )
    assert homes(rows) == [
        HOME,
        HOME,
        NOWHERE,
        (None, "3", "2", "202"),
        (None, "2组", None, "15"),
        (None, "2组", None, "15"),
        NOWHERE,
    ]


def test_an_address_beside_the_levels_comes_last(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        ["姓名", "身份证号", "与户主关系", "楼栋", "房号", "居住地址"],
        ["张三", number(sequence=1), "户主", "3栋", "201", "别处1栋101"],
        ["李四", number(sequence=2), "配偶", "", "", "别处1栋102"],
        ["王五", number(sequence=3), "户主", "", "", "金沙小区3栋2单元202"],
        ["赵六", number(sequence=4), "子", "", "", ""],
    )
    assert homes(rows) == [(None, "3", None, "201")] * 2 + [NEXT] * 2


def test_sheets_named_after_compounds_keep_them_apart(tmp_path: Path) -> None:
    header = ["楼栋", "单元", "房号", "姓名", "身份证号"]
    path = write_xlsx(
        tmp_path / "x.xlsx",
        {
            "金沙小区": [header, ["3栋", "2单元", "201", "张三", number(sequence=1)]],
            "锦绣家园": [header, ["3栋", "2单元", "201", "李四", number(sequence=2)]],
            "Sheet3": [header, ["", "", "", "王五", number(sequence=3)]],
        },
    )
    # The dwelling above ends with the sheet.
    assert homes(read(path)) == [HOME, ("锦绣家园", "3", "2", "201"), NOWHERE]


@pytest.mark.parametrize(
    "footer",
    [
        ["合计", "", "", "", "", "2人"],
        ["合 计"],
        ["", "", "", "", "", "合计", 2.0],
        ["总计：2人"],
        ["小计", "", "", "", "", "2", "", "", ""],
        ["合计户数：1户，人数：2人"],
        ["共2人"],
        ["", "", "", "", "", "219人"],
        ["填表人：某某", "", "", "", "审核人：某某", "", "填报日期：2026年11月"],
        ["填表人:", "", "", "", "", "某某"],
        ["", "", "", "", "", "审核：某某"],
        ["制表人", "某某"],
        ["社区书记（签字）："],
        ["单位(盖章)"],
        ["注：本表一式两份"],
        ["备注：以上信息由本人填写"],
        ["说明：1.本表由网格员填写；2.不得涂改。"],
        ["", "", "", "", "", "本表由网格员据实填写，不得涂改；涂改无效。"],
        ["第1页 共3页"],
        ["—以下空白—"],
        ["金沙小区实有人口台账（续）"],
        ["", "", "", "", "", "金沙小区实有人口台账"],
    ],
    ids=str,
)
def test_footers_are_no_persons(tmp_path: Path, footer: list[Cell]) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        footer,
        person(1, "配偶"),
    )
    assert [row.row for row in rows] == [2, 4]
    assert homes(rows) == [HOME, HOME]


@pytest.mark.parametrize(
    "cells",
    [
        ["", "", "", "", "子", "", number()],
        ["", "", "", "", "子", "", "", "", "13812345678"],
        ["", "", "", "", "", "", "", "1990-05-01"],
        ["", "", "", "", "女"],
        ["", "", "", "", "", "总国华", number()],
        ["", "", "", "", "", "合计", number()],
        ["", "", "", "", "", "李四"],
        ["小计小区", "", "", "", "", "合一", number()],
    ],
    ids=str,
)
def test_whoever_is_spoken_of_is_counted(tmp_path: Path, cells: list[Cell]) -> None:
    rows = read_rows(tmp_path, HEADER, person(0, "户主", "金沙小区", "3栋", "2单元", "201"), cells)
    assert [row.row for row in rows] == [2, 3]


def test_empty_dwellings_are_no_persons_and_still_dwellings(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        [*HEADER, "备注", "序号"],
        [*person(0, "户主", "金沙小区", "3栋", "2单元", "201")],
        ["", "", "", "202", "", "", "", "", "", "空房", 2.0],
        ["", "", "", "203", "", "空置", "", "", "", "", 3.0],
        ["", "", "", "", "", "", "", "", "", "", 4.0],
        ["", "", "", "204", "户主", "张三", number()],
    )
    assert [(row.row, row.room) for row in rows] == [(2, "201"), (6, "204")]


def test_headers_that_come_again(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        person(0, "户主", "金沙小区", "3栋", "2单元", "201"),
        ["金沙小区台账（续）"],
        HEADER,
        person(1, "配偶"),
        ["姓名", "身份证号", "楼栋", "单元", "房号"],
        ["王五", number(sequence=5), "4栋", "1单元", "101"],
    )
    assert [(row.row, row.name) for row in rows] == [(2, "人零"), (5, "人一"), (7, "王五")]
    assert homes(rows) == [HOME, HOME, (None, "4", "1", "101")]


def test_headers_of_two_rows_that_come_again(tmp_path: Path) -> None:
    header = [
        ["房屋信息", "", "", "", "姓名", "证件", "备注"],
        ["小区", "楼栋", "单元", "房号", "", "身份证号", ""],
    ]
    rows = read_rows(
        tmp_path,
        ["题目"],
        *header,
        ["金沙小区", "3栋", "2单元", "201", "张三", number(sequence=1)],
        *header,
        ["", "", "", "", "李四", number(sequence=2)],
    )
    assert [(row.row, row.name) for row in rows] == [(4, "张三"), (7, "李四")]
    assert homes(rows) == [HOME, HOME]


def test_a_rejected_row_keeps_its_dwelling_for_those_below(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        HEADER,
        ["金沙小区", "3栋", "2单元", "201", "户主", "", number()],
        person(1, "配偶"),
    )
    assert [row.rejected for row in rows] == [True, False]
    assert homes(rows) == [HOME, HOME]


def test_grid_and_village_go_with_the_dwelling(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        ["网格", "村(社区)", "楼栋", "房号", "与户主关系", "姓名", "身份证号"],
        ["第1网格", "金沙社区", "3栋", "201", "户主", "张三", number(sequence=1)],
        ["", "", "", "", "配偶", "李四", number(sequence=2)],
        ["", "", "", "202", "户主", "王五", number(sequence=3)],
        [2.0, "", "4栋", "101", "户主", "赵六", number(sequence=4)],
        ["", "", "", "", "子", "赵七", number(sequence=5)],
    )
    assert [row.grid for row in rows] == ["第1网格"] * 3 + ["2"] * 2


def test_phones_and_labels_of_several_columns(tmp_path: Path) -> None:
    (row,) = read_rows(
        tmp_path,
        ["姓名", "身份证号", "房号", "手机", "固定电话", "标签1", "标签2"],
        ["张三", number(), "1-2-3", 13812345678.0, "028-83701234", "志愿者", "党员 志愿者"],
    )
    assert row.phones == ("+8613812345678", "+862883701234")
    assert row.labels == ("志愿者", "党员")


def test_records_are_made_one_by_one(tmp_path: Path) -> None:
    path = ledgers.write_text(
        tmp_path / "x.csv",
        [
            HEADER,
            *(person(n % 10, "户主", "金沙小区", "3栋", "2单元", str(n)) for n in range(1, 500)),
        ],
    )
    found = records(open_ledger(path))
    assert next(found).row == 2
    assert repr(next(found)) == "Record(sheet='', row=3)"
    assert sum(1 for _ in found) == 497
