"""Headers: any names, any order, any row."""

import pytest

from services.residents_api.domain.cells import Cell
from services.residents_api.domain.ledger import Field, headers

FIELDS: dict[Field, list[str]] = {
    "name": [
        "姓名",
        "*姓名",
        "姓名（必填）",
        "（人）姓名",
        "姓 名",
        "姓\n名",
        "居民姓名",
        "姓名:",
        "★姓名",
    ],
    "id_number": [
        *("身份证号码", "身份证号", "公民身份号码", "证件号码", "身份证", "居民身份证号码"),
        *("身份证号码(18位)", "身份证\n号码", "公民身份证号码", "*身份证号"),
    ],
    "phones": [
        "联系电话",
        "手机号",
        "手机号码",
        "电话",
        "联系方式",
        "联系电话1",
        "电话/手机",
        "联系电话（手机）",
    ],
    "compound": ["小区", "小区名称", "小区/院落", "所在小区"],
    "building": ["楼栋", "幢", "栋", "楼号", "栋号", "楼栋（幢）"],
    "unit": ["单元", "单元号"],
    "room": ["房号", "室", "门牌号", "房间号"],
    "group": ["组", "村民小组", "社"],
    "address": [
        *("住址", "房屋地址", "现住址", "居住地址", "楼栋房号", "楼栋/单元/房号"),
        *("楼栋-单元-房号", "家庭住址", "现居住地址"),
    ],
    "relation_to_head": ["与户主关系", "与房主关系", "家庭关系", "与户主\n关系", "与户主的关系"],
    "sex": ["性别"],
    "ethnicity": ["民族"],
    "birth_date": ["出生日期", "出生年月", "生日", "出生年月日", "出生年月（公历）"],
    "education": ["文化程度", "学历"],
    "marital_status": ["婚姻状况", "婚否"],
    "political_status": ["政治面貌"],
    "occupation": ["职业"],
    "employer": ["工作单位", "服务处所"],
    "registered_address": ["户籍地址", "户籍地", "户籍所在地"],
    "population_type": ["人口类型", "人员类别", "人口性质"],
    "tenure": ["居住类型", "房屋性质", "住房性质"],
    "start_date": ["入住时间", "迁入日期", "入住日期"],
    "labels": ["标签", "人员标签"],
    "note": ["备注"],
    "grid": ["网格", "所属网格", "网格编号"],
    "village": ["村(社区)", "村（社区）", "社区名称", "所属社区"],
}


@pytest.mark.parametrize(
    ("field", "text"), [(field, text) for field, texts in FIELDS.items() for text in texts]
)
def test_names_of_columns(field: Field, text: str) -> None:
    assert headers.field_of(text) == field


@pytest.mark.parametrize("field", FIELDS)
def test_the_registers_own_words_are_understood(field: Field) -> None:
    assert headers.field_of(field) == field


@pytest.mark.parametrize(
    "text",
    [
        "序号",
        "监护人电话",
        "户主姓名",
        "合计",
        "",
        "户号",
        "证件类型",
        "姓名" * 50,
        "金沙小区",
        "户口性质",
    ],
)
def test_other_columns_are_not_understood(text: str) -> None:
    assert headers.field_of(text) is None


def find(*rows: list[Cell], first: int = 1) -> headers.Header | None:
    return headers.find(list(enumerate(rows, first)))


def test_titles_and_blank_rows_stand_above() -> None:
    header = find(
        ["九尺镇金沙社区实有人口台账"],
        [],
        ["填报单位：金沙社区", None, "填报日期：2026年11月"],
        ["备注", "联系电话", "姓名", "序号", "身份证号码"],
        ["", "", "张三", 1.0, "1"],
    )
    assert header
    assert header.row == 4
    assert header.columns == {"note": (0,), "phones": (1,), "name": (2,), "id_number": (4,)}
    assert header.ignored == ("序号",)


def test_two_rows_with_groups() -> None:
    header = find(
        ["序号", "房屋信息", "", "", "", "人员信息", "", "", ""],
        ["", "小区", "楼栋", "单元", "房号", "姓名", "身份证号", "电话", "手机"],
        [1.0, "金沙", "1栋", "1", "2", "张三", "5", "", ""],
    )
    assert header
    assert header.row == 2
    assert header.columns["phones"] == (7, 8)
    assert header.columns["room"] == (4,)


def test_two_rows_where_names_stand_in_both() -> None:
    header = find(
        ["姓名", "身份证号", "住址", "", "", "电话"],
        ["", "", "楼栋", "单元", "房号", ""],
        ["张三", "1", "2", "3", "4", "5"],
    )
    assert header
    assert header.row == 2
    assert header.columns == {
        "name": (0,),
        "id_number": (1,),
        "building": (2,),
        "unit": (3,),
        "room": (4,),
        "phones": (5,),
    }


def test_the_head_beside_the_person_is_not_the_person() -> None:
    wide = find(
        ["户主信息", "", "家庭成员信息", "", "", ""],
        ["姓名", "身份证号", "姓名", "身份证号", "与户主关系", "电话"],
        ["张三", "1", "李四", "2", "配偶", "3"],
    )
    assert wide
    assert (wide.columns["name"], wide.columns["id_number"]) == ((2,), (3,))
    beside = find(["户主姓名", "姓名", "身份证号"])
    assert beside
    assert beside.columns["name"] == (1,)
    alone = find(["户主姓名", "身份证号"])
    assert alone
    assert alone.columns["name"] == (0,)


def test_a_title_that_names_the_head_is_no_group() -> None:
    header = find(["户主及家庭成员信息登记表"], ["姓名", "身份证号", "电话", "电话2"])
    assert header
    assert header.columns == {"name": (0,), "id_number": (1,), "phones": (2, 3)}


def test_a_header_needs_a_name_and_one_more() -> None:
    assert find(["姓名"]) is None
    assert find(["身份证号", "电话"]) is None
    assert find(["姓名", "电话"]) is not None
    assert find() is None
    assert find([None, 1.0, True]) is None


def test_data_below_is_not_taken_for_a_second_row() -> None:
    header = find(["姓名", "身份证号", "职业"], ["张三", "1", "单位"], ["李四", "2", "社区"])
    assert header
    assert header.row == 1


def test_the_header_is_among_the_first_rows() -> None:
    rows: list[list[Cell]] = [[f"说明{n}"] for n in range(29)]
    assert find(*rows, ["姓名", "身份证号"]) is not None
    assert find(*rows, [""], ["姓名", "身份证号"]) is None
