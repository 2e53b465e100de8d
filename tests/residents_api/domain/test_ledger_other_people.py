"""Ledgers of people who never saw ours: honest, and each of them odd in its own way."""

from datetime import date
from pathlib import Path

import pytest

from services.residents_api.domain.cells import Cell
from services.residents_api.domain.ledger.villages import Villages
from tests.residents_api.domain.ledgers import (
    homes,
    number,
    read,
    read_rows,
    refusal,
    write_text,
    write_xlsx,
)

HOME = ("金沙小区", "3", "2", "201")
A, B, C = number(), number(sequence=2), number(sequence=3)


@pytest.mark.parametrize("above", [0, 1, 3, 9])
def test_the_header_may_stand_lower_and_be_called_otherwise(tmp_path: Path, above: int) -> None:
    titles: list[list[Cell]] = [["填表单位：金沙社区", "", "", "填表日期：2026年1月"]] * above
    header = "序号 小区名称 幢 单元 室 与房主关系 姓名 性别 公民身份号码 出生年月 手机号 人员类别 迁入日期 档案盒号"
    rows = read_rows(
        tmp_path,
        *titles,
        header.replace("姓名", "姓　名").split(" "),
        [1, "金沙小区", "3幢", 2, 201, "本人", "张 三", "1", A, "1990.5", "13812345678", "", 45000, 7],
        [2, "", "", "", "", "妻", "古丽•买买提", "女性", B, 19900501, "１３９１２３４５６７８/028-83701234"],
        ["", "", "", "", "", "", "合计", "2人"],
    )  # fmt: skip
    assert [row.row for row in rows] == [above + 2, above + 3]
    assert [row.codes for row in rows] == [(), ()]
    assert homes(rows) == [HOME, HOME]
    assert [(row.name, row.sex) for row in rows] == [
        ("张三", "male"),
        ("古丽·买买提", "female"),
    ]
    assert rows[0].start_date == date(2023, 3, 15)
    assert rows[1].phones == ("+8613912345678", "+862883701234")


def test_two_rows_of_header_with_groups(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        ["九尺镇金沙社区实有人口登记表"],
        ["序号", "房屋信息", "", "", "", "人员基本信息", "", "", "备注"],
        ["", "小区", "楼栋", "单元", "房号", "姓名", "性别", "身份证号码", ""],
        [1, "金沙小区", 3, 2, 201, "张三", 1, A, ""],
        [2, "", "", "", "", "李四", 2, B, "x"],
        ["填表人：王某", "", "", "", "", "审核人：李某"],
    )
    assert [(row.name, row.codes) for row in rows] == [("张三", ()), ("李四", ())]
    assert homes(rows) == [HOME, HOME]


def test_the_members_numbers_beside_the_heads(tmp_path: Path) -> None:
    header = (
        "户主姓名",
        "户主身份证号",
        "家庭成员姓名",
        "家庭成员身份证号码",
        "关系",
        "楼栋",
        "房号",
    )
    rows = read_rows(
        tmp_path,
        header,
        ["张三", A, "张三", A, "户主", "1", "101"],
        ["张三", A, "李四", B, "妻", "1", "101"],
    )
    assert [(row.name, row.id_number) for row in rows] == [("张三", A), ("李四", B)]


@pytest.mark.parametrize(
    "footer",
    [
        ["合计", "", "", "2人"],
        ["本页小计：1人"],
        ["制表人", "王某", "审核", "李某"],
        ["以下空白"],
        ["统计截止2026年1月1日"],
        ["数据截至2026年1月"],
        ["2026年1月1日"],
        ["经办人签字", "", "", "年  月  日"],
        ["审核人（签章）"],
        ["社区（盖章）"],
        ["联系电话：028-83701234"],
        ["第1页 共2页"],
        ["姓名", "身份证号码", "楼栋", "房号"],
    ],
)
def test_what_is_printed_between_and_below_is_nobody(tmp_path: Path, footer: list[Cell]) -> None:
    rows = read_rows(
        tmp_path,
        ["姓名", "身份证号码", "楼栋", "房号"],
        ["张三", A, "1", "101"],
        footer,
        ["李四", B, "", ""],
        footer,
    )
    assert [(row.name, row.codes) for row in rows] == [("张三", ()), ("李四", ())]
    assert homes(rows) == [(None, "1", None, "101")] * 2


def test_merged_addresses_and_a_head_without_one(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path,
        ["房屋地址", "姓名", "身份证号", "与户主关系"],
        ["金沙小区3栋2单元201", "张三", A, "户主"],
        ["", "李四", B, "妻子"],
        ["", "孙八", C, "户主"],
        ["", "周九", number(sequence=4), "妻"],
        merges=[(1, 0, 2, 0)],
    )
    assert homes(rows)[:2] == [HOME, HOME]
    assert [row.codes for row in rows] == [(), (), ("dwelling.missing",), ("dwelling.missing",)]


def test_only_sheets_with_people_are_read(tmp_path: Path) -> None:
    header = ["姓名", "身份证号码", "房号"]
    path = write_xlsx(
        tmp_path / "ledger.xlsx",
        {
            "封面": [["金沙社区台账"], ["2026年"]],
            "1栋": [header[::-1], ["101", A, "张三"]],
            "2栋": [header, ["王五", B, "201"], ["", "", "202"]],
            "工作人员": [["姓名", "职务", "电话"], ["陈某", "书记", "13812345678"]],
            "空": [],
            "旧": [header, ["隐藏", C, "201"]],
            "仅表头": [header],
        },
        hidden=["旧"],
    )
    rows = read(path)
    assert [(row.sheet, row.name) for row in rows] == [("1栋", "张三"), ("2栋", "王五")]
    assert homes(rows) == [(None, "1", None, "101"), (None, "2", None, "201")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_text_of_every_program(tmp_path: Path, encoding: str, delimiter: str) -> None:
    said = [
        ["人口台账"],
        ["姓名", "身份证号码", "小区", "楼栋", "单元", "房号", "未知列"],
        ["张三", " ".join(A), "金沙小区", "三栋", "二单元", "0201", "x"],
        ["李四", "'" + B.lower(), "", "", "", "", ""],
        ["合计：2人", "", "", "", "", "", ""],
    ]
    path = write_text(tmp_path / "l.csv", said, encoding=encoding, delimiter=delimiter)
    rows = read(path)
    assert [(row.row, row.id_number, row.codes) for row in rows] == [(3, A, ()), (4, B, ())]
    assert homes(rows) == [HOME, HOME]


def test_a_sheet_without_people_is_no_ledger(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "l.xlsx", {"说明": [["填写说明：姓名必填"], ["1. 如实填写"]]})
    assert refusal(path) == "ledger.no_header"


NAMES = {
    "519900104006": "金沙社区居委会",
    "519900104003": "升平村村委会",
    "519900104004": "大沙村村委会",
    "519900105004": "小金沙村村委会",
}


@pytest.mark.parametrize(
    ("text", "another"),
    [
        ("金沙社区", False),
        ("金沙", False),
        ("九尺镇金沙社区居委会", False),
        ("彭州市九尺镇金沙社区居民委员会", False),
        ("519900104006", False),
        ("3组", False),
        ("外地", False),
        ("沙", False),
        ("升平村", True),
        ("升平", True),
        ("九尺镇 升平村村民委员会", True),
        ("519900104003", True),
    ],
)
def test_a_village_is_known_by_its_name(text: str, another: bool) -> None:
    assert Villages.of("519900104006", NAMES).names_another(text) is another
