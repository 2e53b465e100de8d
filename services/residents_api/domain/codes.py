"""What an import says of a row: every code, whether it rejects, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

RowCode = Literal[
    "name.missing",
    "identity.missing",
    "id_number.precision_lost",
    "id_number.length",
    "id_number.format",
    "id_number.birth_date",
    "id_number.check_digit",
    "birth_date.in_future",
    "dwelling.missing",
    "id_number.upgraded_15",
    "sex.conflicts_with_id",
    "birth_date.conflicts_with_id",
    "birth_date.implausible",
    "start_date.in_future",
    "phone.invalid",
    "row.duplicate",
    "value.unknown_code",
    "village.conflicts_with_import",
    "dwelling.demolished",
    "resident.elsewhere",
    "name.conflicts_with_register",
]


@dataclass(frozen=True, slots=True)
class CodeMeaning:
    """`rejects`: the row is not taken over. The texts say what a worker should do."""

    code: RowCode
    rejects: bool
    text_zh: str
    text_en: str


_MEANINGS = (
    CodeMeaning(
        "name.missing",
        True,
        "没有姓名，或所填内容不是一个人的姓名（如合计、过长、两个名字），请填写。",
        "There is no name, or what stands there is not the name of one person: fill it in.",
    ),
    CodeMeaning(
        "identity.missing",
        True,
        "身份证号码和出生日期都没有，请至少填写一项。",
        "There is neither an identity number nor a birth date: give at least one.",
    ),
    CodeMeaning(
        "id_number.precision_lost",
        True,
        "表格把身份证号码变成了科学计数（如 5.1E+17），后几位已丢失；请把该列设为文本格式后重新录入。",
        "The spreadsheet turned the identity number into 5.1E+17 and lost its last digits: "
        "format the column as text and type the number again.",
    ),
    CodeMeaning(
        "id_number.length",
        True,
        "身份证号码不是 18 位（或旧 15 位），请核对是否漏填或多填。",
        "The identity number has neither 18 nor 15 characters: look for missing or extra ones.",
    ),
    CodeMeaning(
        "id_number.format",
        True,
        "身份证号码中有不应出现的字符，请核对。",
        "The identity number contains characters that do not belong there: check it.",
    ),
    CodeMeaning(
        "id_number.birth_date",
        True,
        "身份证号码中的出生日期不存在，请核对第 7 至 14 位。",
        "The birth date in the identity number does not exist: check characters 7 to 14.",
    ),
    CodeMeaning(
        "id_number.check_digit",
        True,
        "身份证号码校验不通过，有一位填错或两位颠倒，请对照证件核对。",
        "The identity number's check digit is wrong, so a digit is wrong or two are swapped: "
        "compare it with the card.",
    ),
    CodeMeaning(
        "birth_date.in_future",
        True,
        "出生日期晚于今天，请核对。",
        "The birth date is later than today: check it.",
    ),
    CodeMeaning(
        "dwelling.missing",
        True,
        "看不出住在哪里，请填写小区、楼栋、单元和房号。",
        "Nothing says where the person lives: give compound, building, unit and room.",
    ),
    CodeMeaning(
        "id_number.upgraded_15",
        False,
        "旧 15 位身份证号码已升为 18 位，请确认。",
        "An old 15-digit identity number was upgraded to 18 characters: confirm it.",
    ),
    CodeMeaning(
        "sex.conflicts_with_id",
        False,
        "性别与身份证号码不一致，已按号码登记，请核对。",
        "The sex differs from the identity number, which was followed: check it.",
    ),
    CodeMeaning(
        "birth_date.conflicts_with_id",
        False,
        "出生日期与身份证号码不一致，已按号码登记，请核对。",
        "The birth date differs from the identity number, which was followed: check it.",
    ),
    CodeMeaning(
        "birth_date.implausible",
        False,
        "出生日期早于 1900 年，已登记，请核对。",
        "The birth date is before 1900: it was taken over, check it.",
    ),
    CodeMeaning(
        "start_date.in_future",
        False,
        "入住时间晚于今天，到那天才算居住在此，请核对。",
        "The move-in date is later than today: the person counts as living there from then on. "
        "Check it.",
    ),
    CodeMeaning(
        "phone.invalid",
        False,
        "电话号码无法识别，未登记，请核对（座机请加区号）。",
        "A phone number was not recognised and not kept: check it (landlines with area code).",
    ),
    CodeMeaning(
        "row.duplicate",
        False,
        "同一人在同一住处重复出现，已合并。",
        "The same person appears twice in the same dwelling: the rows were merged.",
    ),
    CodeMeaning(
        "value.unknown_code",
        False,
        "有内容无法识别，该项未登记，请改用规定的选项。",
        "A value was not recognised and left out: use one of the listed values.",
    ),
    CodeMeaning(
        "village.conflicts_with_import",
        False,
        "村（社区）一栏是另一个村（社区），已按导入所选的村（社区）登记，请核对。",
        "The row names another village than the import, which was followed: check it.",
    ),
    CodeMeaning(
        "dwelling.demolished",
        False,
        "该楼栋已登记为拆除，居住关系未登记，请核对住址。",
        "The building is registered as demolished: where the person lives was left out, check it.",
    ),
    CodeMeaning(
        "resident.elsewhere",
        False,
        "此人已登记在其他辖区，居住关系待对方确认，其他信息未改动。",
        "The person is registered in another area: the occupancy waits for confirmation, "
        "nothing else was changed.",
    ),
    CodeMeaning(
        "name.conflicts_with_register",
        False,
        "同一身份证号码在登记库中是另一姓名，姓名未改动，请核对。",
        "The register knows this identity number under another name, which was kept: check it.",
    ),
)

CODES: Mapping[RowCode, CodeMeaning] = MappingProxyType({entry.code: entry for entry in _MEANINGS})

REJECTING = frozenset(entry.code for entry in _MEANINGS if entry.rejects)

assert tuple(CODES) == get_args(RowCode)
