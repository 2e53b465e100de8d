"""One row: every code, every value."""

import pickle
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.residents_api.domain.cells import Cell
from services.residents_api.domain.codes import CODES, REJECTING
from services.residents_api.domain.dwellings import Parts
from services.residents_api.domain.ledger import Field, LedgerRow, Record, check
from tests.residents_api.domain.ledgers import TODAY, number

GOOD: dict[Field, Cell] = {"name": "张三", "id_number": number("1990-05-01", 1)}
HOME = Parts("金沙小区", "", "3栋", "2单元", "201")


def row(place: Parts | None = HOME, **cells: Cell) -> LedgerRow:
    """A good row with some cells changed, or taken away by None."""
    values = {key: cell for key, cell in {**GOOD, **cells}.items() if cell is not None}
    return check(Record("台账", 7, place, values), today=TODAY)  # pyright: ignore[reportArgumentType]


def test_a_good_row_has_no_codes() -> None:
    found = row()
    assert (found.codes, found.rejected, found.sheet, found.row) == ((), False, "台账", 7)
    assert (found.sex, found.birth_date) == ("male", date(1990, 5, 1))
    unsaid = (
        *(found.tenure, found.start_date, found.relation_to_head, found.population_type),
        *(found.ethnicity, found.education, found.marital_status, found.political_status),
        *(found.occupation, found.employer, found.registered_address, found.note),
        *(found.grid, found.village, found.phone_invalid),
    )
    assert all(value is None for value in unsaid), "what a row does not say is no value"
    assert (found.phones, found.labels) == ((), ())


@pytest.mark.parametrize(
    ("cells", "codes"),
    [
        ({"name": None}, ("name.missing",)),
        ({"name": "  "}, ("name.missing",)),
        ({"name": "/"}, ("name.missing",)),
        ({"name": "无"}, ("name.missing",)),
        ({"name": "\u200b"}, ("name.missing",)),
        ({"name": "12345"}, ("name.missing",)),
        ({"name": 3.0}, ("name.missing",)),
        ({"name": "NULL"}, ("name.missing",)),
        ({"name": "长" * 101}, ("name.missing",)),
        ({"id_number": None}, ("identity.missing",)),
        ({"id_number": "无"}, ("identity.missing",)),
        ({"id_number": "", "birth_date": "不详"}, ("identity.missing",)),
        (
            {"id_number": None, "birth_date": "2021-02-30"},
            ("identity.missing", "value.unknown_code"),
        ),
        ({"id_number": "办理中", "birth_date": "2024-03-01"}, ("value.unknown_code",)),
        ({"id_number": "办理中"}, ("identity.missing", "value.unknown_code")),
        ({"id_number": "5199022006032899"}, ("id_number.length",)),
        ({"id_number": "5199022006032899", "birth_date": "2006-03-28"}, ("id_number.length",)),
        ({"id_number": "E12345678"}, ("id_number.length",)),
        ({"id_number": "5199021971AB204160"}, ("id_number.format",)),
        ({"id_number": "51990219850230559X"}, ("id_number.birth_date",)),
        ({"id_number": number()[:17] + "3"}, ("id_number.check_digit",)),
        ({"id_number": 5.1e17}, ("id_number.precision_lost",)),
        ({"id_number": "5.1E+17", "birth_date": "1990-05-01"}, ("id_number.precision_lost",)),
        ({"id_number": number("2027-01-01")}, ("birth_date.in_future",)),
        ({"id_number": None, "birth_date": "2031-05-01"}, ("birth_date.in_future",)),
        ({"id_number": None, "birth_date": TODAY}, ()),
        ({"birth_date": "2031-05-01"}, ("birth_date.conflicts_with_id",)),
        ({"birth_date": "1970-01-01"}, ("birth_date.conflicts_with_id",)),
        ({"birth_date": "1990.5"}, ()),
        ({"birth_date": "1990年"}, ()),
        ({"birth_date": "1990.6"}, ("birth_date.conflicts_with_id",)),
        ({"birth_date": 32994.0}, ()),
        ({"birth_date": datetime(1990, 5, 1)}, ()),  # noqa: DTZ001  a cell has no zone
        ({"birth_date": "1990-02-30"}, ("value.unknown_code",)),
        ({"sex": "女"}, ("sex.conflicts_with_id",)),
        ({"sex": "男"}, ()),
        ({"sex": "未知"}, ()),
        ({"sex": "公"}, ("value.unknown_code",)),
        ({"id_number": "519900900501001"}, ("id_number.upgraded_15",)),
        ({"id_number": 519900900501001.0}, ("id_number.upgraded_15",)),
        ({"phones": "1380013"}, ("phone.invalid",)),
        ({"phones": "13812345678/1380013"}, ("phone.invalid",)),
        ({"phones": "/"}, ()),
        ({"education": "博士后在读"}, ("value.unknown_code",)),
        ({"education": "无"}, ()),
        ({"education": "甲", "tenure": "乙", "ethnicity": "丙"}, ("value.unknown_code",)),
        ({"start_date": "很久以前"}, ("value.unknown_code",)),
        ({"start_date": "2021.8.15"}, ()),
        ({"labels": "志愿者、13812345678"}, ("value.unknown_code",)),
        ({"labels": "长" * 21}, ("value.unknown_code",)),
        ({"labels": "志 " * 501}, ("value.unknown_code",)),
        ({"labels": " ".join(f"标签{n}" for n in range(51))}, ("value.unknown_code",)),
        ({"labels": "无"}, ()),
        (
            {
                "name": "",
                "id_number": "1",
                "birth_date": "2031-01-01",
                "phones": "1",
                "tenure": "x",
            },
            (
                *("name.missing", "id_number.length", "birth_date.in_future"),
                *("phone.invalid", "value.unknown_code"),
            ),
        ),
    ],
    ids=lambda value: repr(value)[:200],
)
def test_codes(cells: dict[str, Cell], codes: tuple[str, ...]) -> None:
    found = row(HOME, **cells)
    assert found.codes == codes
    assert found.rejected == any(code in REJECTING for code in codes)


@pytest.mark.parametrize("place", [None, Parts("金沙小区"), Parts(room="/")], ids=str)
def test_no_dwelling(place: Parts | None) -> None:
    assert row(place).codes == ("dwelling.missing",)
    assert row(place, name=None).codes == ("name.missing", "dwelling.missing")


def test_the_number_wins() -> None:
    found = row(sex="女", birth_date="1970-01-01")
    assert (found.sex, found.birth_date) == ("male", date(1990, 5, 1))
    assert found.codes == ("sex.conflicts_with_id", "birth_date.conflicts_with_id")


def test_without_a_number_the_cells_hold() -> None:
    found = row(id_number=None, sex="女", birth_date="1990.5")
    assert (found.id_number, found.sex, found.birth_date) == (None, "female", date(1990, 5, 1))


def test_values() -> None:
    found = row(
        phones="13812345678、1380013、028-83701234",
        relation_to_head="户主",
        tenure="承租",
        start_date="2015年3月",
        population_type="流动人口",
        ethnicity="藏",
        education="本科",
        marital_status="离异",
        political_status="党员",
        occupation="务工",
        employer="某厂",
        registered_address="四川省彭州市",
        labels="志愿者、书法爱好；志愿者 党员",
        note="=1+1",
        grid=3.0,
        village="金沙社区",
    )
    assert found.codes == ("phone.invalid",)
    assert found.phones == ("+8613812345678", "+862883701234")
    assert found.phone_invalid == "*******"
    assert found.labels == ("志愿者", "书法爱好", "党员")
    assert (found.compound, found.building, found.unit, found.room) == ("金沙小区", "3", "2", "201")
    assert (found.relation_to_head, found.tenure, found.start_date) == (
        "head",
        "tenant",
        date(2015, 3, 1),
    )
    assert (found.population_type, found.ethnicity, found.education) == (
        "floating",
        "04",
        "undergraduate",
    )
    assert (found.marital_status, found.political_status) == ("divorced", "cpc_member")
    assert (found.occupation, found.employer, found.registered_address) == (
        "务工",
        "某厂",
        "四川省彭州市",
    )
    assert (found.note, found.grid, found.village) == ("=1+1", "3", "金沙社区")


def test_nothing_personal_in_repr() -> None:
    found = row(phones="13812345678", note="秘密")
    assert repr(found) == "LedgerRow(sheet='台账', row=7, codes=())"
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301  our own bytes
    record = Record("台账", 7, HOME, dict(GOOD))
    assert pickle.loads(pickle.dumps(record)) == record  # noqa: S301
    assert "张三" not in repr(record)


any_cell = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.sampled_from(
        ["男", "户主", "无", "13812345678", "5.1E+17", "1990.5", number(), "\x00", "\ud800"]
    ),
)
fields: tuple[Field, ...] = (
    *("name", "id_number", "birth_date", "sex", "ethnicity", "phones", "education"),
    *("marital_status", "political_status", "occupation", "employer", "registered_address"),
    *("population_type", "relation_to_head", "tenure", "start_date", "labels", "note", "grid"),
    "village",
)


@given(
    st.dictionaries(st.sampled_from(fields), any_cell), st.text(max_size=20), st.text(max_size=20)
)
def test_any_cells_make_a_row(cells: dict[Field, Cell], building: str, room: str) -> None:
    found = check(Record("", 1, Parts("", "", building, "", room), cells), today=TODAY)
    assert list(found.codes) == [code for code in CODES if code in found.codes]
    assert found.rejected == (not REJECTING.isdisjoint(found.codes))
    if not found.rejected:
        assert found.name
        assert found.birth_date
        assert found.birth_date <= TODAY
        assert found.dwelling.identified
    texts = (found.name, found.note, found.occupation, found.building, found.room, *found.labels)
    for text in texts:
        # PostgreSQL takes neither.
        assert text is None or "\x00" not in text
        assert text is None or text.encode()


@pytest.mark.parametrize(
    "name",
    [
        *("合计", "备注", "姓名", "户主", " 户 主 ", "@SUM(A1)", "=A1", "+A1", "#SPILL!"),
        *("张三/李四", "张三、李四", "张三，李四", "三张\u202e", "\u202e三张", "长" * 500),
    ],
)
def test_what_is_nobodys_name_beside_a_number(name: str) -> None:
    assert row(name=name).codes == ("name.missing",)


@pytest.mark.parametrize(
    "name",
    [
        "合欢",
        "户颖",
        "买买提·吐尔逊",
        "阿依古丽/",
        "John Smith-Jones",
        "张三（小三）",
        "张\u200b三",
    ],
)
def test_names_that_look_odd_are_names(name: str) -> None:
    assert row(name=name).codes == ()


@pytest.mark.parametrize("label", ["身份证:", "身份证号：", "身份证号码: ", "公民身份号码："])
def test_the_columns_name_before_a_number_is_no_part_of_it(label: str) -> None:
    found = row(id_number=label + number())
    assert (found.id_number, found.codes) == (number(), ())


@pytest.mark.parametrize("remark", ["（无效）", "(已注销)", "注销", "【错】"])
def test_a_remark_in_a_number_is_no_wrong_length(remark: str) -> None:
    found = row(id_number=number() + remark)
    assert (found.id_number, found.codes) == (None, ("id_number.format",))


def test_nobody_alive_was_born_before_1900() -> None:
    assert row(id_number=number("1899-12-31")).codes == ("birth_date.implausible",)
    found = row(id_number=None, birth_date="1899-12-31")
    assert (found.codes, found.rejected) == (("birth_date.implausible",), False)
    assert row(id_number=number("1900-01-01")).codes == ()


def test_a_move_to_come_is_warned_of() -> None:
    assert row(start_date=TODAY).codes == ()
    found = row(start_date="2026-11-25")
    assert (found.codes, found.rejected) == (("start_date.in_future",), False)
    assert found.start_date == date(2026, 11, 25)


def test_a_landline_without_area_code_is_not_guessed_at() -> None:
    found = row(phones="83701234、028-83701234")
    assert (found.phones, found.codes) == (("+862883701234",), ("phone.invalid",))
