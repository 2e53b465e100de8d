"""The code lists: complete, unambiguous, and found by what ledgers write."""

import re

import pytest

from services.residents_api.domain.cells import folded
from services.residents_api.domain.code_lists import CODE_LISTS
from services.residents_api.domain.codes import CODES, REJECTING

SIZES = {
    "sex": 4,
    "ethnicity": 58,
    "marital_status": 8,
    "political_status": 13,
    "tenure": 5,
    "nationality": 249,
    "risk_level": 3,
    "coordinate_system": 4,
    "document_kind": 5,
}
PATTERNS = {"ethnicity": r"[0-9]{2}", "coordinate_system": r"[a-z0-9]+"}


@pytest.mark.parametrize("name", CODE_LISTS)
def test_a_list_is_well_formed(name: str) -> None:
    code_list = CODE_LISTS[name]
    assert code_list.name == name
    assert len(code_list.entries) == SIZES.get(name, len(code_list.entries))
    codes = [entry.code for entry in code_list.entries]
    assert len(set(codes)) == len(codes)
    pattern = PATTERNS.get(name, r"[a-z]+(_[a-z]+)*")
    assert all(re.fullmatch(pattern, code) for code in codes)
    meanings: dict[str, str] = {}
    for entry in code_list.entries:
        assert entry.name_zh
        assert entry.name_en
        for word in (entry.code, entry.gb_code, entry.name_zh, entry.name_en, *entry.aliases):
            if word:
                assert meanings.setdefault(folded(word), entry.code) == entry.code, "one meaning"
                assert code_list.find(word) == entry.code
                assert code_list.find(f" {word}\u3000") == entry.code


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("sex", "男", "male"),
        ("sex", "2", "female"),
        ("ethnicity", "汉", "01"),
        ("ethnicity", "汉 族", "01"),
        ("ethnicity", "1", "01"),
        ("ethnicity", "羌族", "33"),
        ("ethnicity", "维族", "05"),
        ("ethnicity", "基诺", "56"),
        ("education", "大学本科", "undergraduate"),
        ("education", "本科", "undergraduate"),
        ("education", "大专", "junior_college"),
        ("education", "中专", "secondary_vocational"),
        ("education", "硕士研究生", "master"),
        ("education", "31", "junior_college"),
        ("education", "博士后在读", None),
        ("marital_status", "离异", "divorced"),
        ("political_status", "党员", "cpc_member"),
        ("political_status", "中共党员", "cpc_member"),
        ("political_status", "群众", "masses"),
        ("relation_to_head", "户主", "head"),
        ("relation_to_head", "本人", "head"),
        ("relation_to_head", "长子", "son"),
        ("relation_to_head", "孙女", "granddaughter"),
        ("population_type", "户籍人口", "household_registered"),
        ("population_type", "暂住", "floating"),
        ("nationality", "中国", "chn"),
        ("nationality", "156", "chn"),
        ("nationality", "4", "afg"),
        ("nationality", "kr", "kor"),
        ("nationality", "中国香港", "hkg"),
        ("dwelling_use", "群租房", "group_let"),
        ("building_status", "已拆除", "demolished"),
        ("document_kind", "护照", "passport"),
        ("coordinate_system", "百度", "bd09"),
        ("tenure", "自住", "owner"),
        ("tenure", "承租", "tenant"),
        ("tenure", "借住", "borrower"),
        ("tenure", "", None),
        ("tenure", "不是一个词", None),
        ("tenure", "x" * 100, None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_found_by_what_ledgers_write(name: str, text: str, code: str | None) -> None:
    assert CODE_LISTS[name].find(text) == code


def test_row_codes_say_what_to_do() -> None:
    assert len(REJECTING) == 9
    assert all(meaning.text_zh and meaning.text_en for meaning in CODES.values())
    assert list(CODES) == [meaning.code for meaning in CODES.values()]
