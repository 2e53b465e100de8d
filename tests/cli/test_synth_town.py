"""The demo town, measured from its ledgers alone."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import phonenumbers
import pytest
import python_calamine
from stdnum.iso7064 import mod_11_2

from services.cli.synth.housing import Village, read_villages
from services.cli.synth.ledger import COLUMNS
from services.cli.synth.town import Town, town
from services.residents_api.domain.code_lists import CODE_LISTS
from services.residents_api.domain.dwellings import Parts, locate

ROOT = Path(__file__).parents[2]
VILLAGES = read_villages(ROOT / "services/residents_api/data/divisions.csv", within="510182104")
TODAY = date(2026, 11, 20)
JINSHA = "510182104006"

Person = dict[str, str]


def people(of: Town) -> list[Person]:
    return [
        dict(zip(COLUMNS, row, strict=True), village=code)
        for code, rows in of.ledgers.items()
        for row in rows
    ]


def home(person: Person) -> tuple[str, ...]:
    return tuple(person[key] for key in ("village", "小区", "楼栋", "单元", "房号"))


def birthday(born: date, years: int) -> date:
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return date(born.year + years, 3, 1)


def born(person: Person) -> date:
    return date.fromisoformat(person["出生日期"])


def years_between(elder: Person, younger: Person) -> float:
    return (born(younger) - born(elder)).days / 365.2425


def women_of_25_to_35(everyone: list[Person], on: date) -> int:
    return sum(
        person["性别"] == "女" and birthday(born(person), 25) <= on < birthday(born(person), 36)
        for person in everyone
    )


@pytest.fixture(scope="module")
def demo() -> Town:
    return town(today=TODAY, villages=VILLAGES)


@pytest.fixture(scope="module")
def everyone(demo: Town) -> list[Person]:
    return people(demo)


@pytest.fixture(scope="module")
def households(everyone: list[Person]) -> list[list[Person]]:
    found: defaultdict[tuple[str, ...], list[Person]] = defaultdict(list)
    for person in everyone:
        found[home(person)].append(person)
    return list(found.values())


@pytest.mark.parametrize(
    "today",
    [
        TODAY,
        date(2026, 12, 31),
        date(2027, 3, 1),
        date(2028, 2, 29),
        date(2029, 4, 30),
    ],
    ids=date.isoformat,
)
def test_figures_are_exact_and_hold_for_two_months_either_way(today: date) -> None:
    everyone = people(town(today=today, villages=VILLAGES))
    assert len(everyone) == 59_000
    assert len({person["身份证号码"] for person in everyone}) == 59_000
    for days in (-60, -1, 0, 1, 60):
        assert women_of_25_to_35(everyone, today + timedelta(days)) == 3_256
    nearest = min(
        abs((birthday(born(person), years) - today).days)
        for person in everyone
        for years in (25, 36)
        if person["性别"] == "女"
    )
    assert nearest > 60
    assert all(born(person) < today for person in everyone)


def test_another_seed_is_another_town_with_the_same_figures(everyone: list[Person]) -> None:
    others = people(town(today=TODAY, villages=VILLAGES, seed=7))
    assert len(others) == 59_000
    assert women_of_25_to_35(others, TODAY) == 3_256
    assert [person["姓名"] for person in others[:50]] != [
        person["姓名"] for person in everyone[:50]
    ]


def test_the_same_seed_and_day_give_the_same_town(demo: Town) -> None:
    again = town(today=TODAY, villages=VILLAGES)
    assert again == demo


def test_every_village_is_used_and_keeps_its_rows(demo: Town, everyone: list[Person]) -> None:
    assert list(demo.ledgers) == [village.code for village in VILLAGES]
    assert len(demo.ledgers) == 11
    assert all(len(rows) > 2_000 for rows in demo.ledgers.values())
    for person in everyone:
        assert person["网格"].startswith(person["village"])
        assert len(person["网格"]) == 15
    for rows in demo.ledgers.values():
        assert [row[0] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]


def test_about_21_000_dwellings_in_grids_of_a_few_hundred(households: list[list[Person]]) -> None:
    assert 20_000 <= len(households) <= 22_000
    grids: defaultdict[str, int] = defaultdict(int)
    buildings: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for household in households:
        assert len({person["网格"] for person in household}) == 1
        grids[household[0]["网格"]] += 1
        buildings[home(household[0])[:3]].add(household[0]["网格"])
    assert max(grids.values()) < 450
    assert sum(grids.values()) / len(grids) > 150
    assert all(len(used) == 1 for used in buildings.values())


def test_identity_numbers_belong_to_no_place_and_say_what_the_row_says(
    everyone: list[Person],
) -> None:
    for person in everyone:
        number = person["身份证号码"]
        assert mod_11_2.is_valid(number)
        assert number[:6] == "519900"
        assert number[6:14] == person["出生日期"].replace("-", "")
        assert (int(number[16]) % 2 == 1) == (person["性别"] == "男")


def test_nobody_and_no_home_is_in_the_sample_ledger(everyone: list[Person]) -> None:
    book = python_calamine.CalamineWorkbook.from_path(ROOT / "tests/data/ledger_jinsha.xlsx")
    sample = book.get_sheet_by_index(0).to_python()
    numbers = {str(row[9]) for row in sample}
    homes = {(JINSHA, *map(str, row[1:5])) for row in sample if row[1]}
    assert len(numbers) > 200
    assert len(homes) > 80
    assert not numbers & {person["身份证号码"] for person in everyone}
    assert not homes & {home(person) for person in everyone}


def test_the_demo_resident_lives_in_jinsha_xiaoqu(demo: Town, everyone: list[Person]) -> None:
    neighbours = [person for person in everyone if person["小区"] == "金沙小区"]
    assert {person["village"] for person in neighbours} == {JINSHA}
    assert women_of_25_to_35(neighbours, TODAY) >= 10
    her = demo.demo_resident
    (person,) = [person for person in neighbours if person["身份证号码"] == her.id_number]
    assert women_of_25_to_35([person], TODAY) == 1
    assert home(person) == (her.village_code, her.compound, her.building, her.unit, her.room)
    assert person["姓名"] == her.name
    assert person["网格"] == her.grid_code
    assert person["联系电话"]
    assert her.name not in repr(demo)
    assert her.id_number not in repr(demo)


def test_a_town_without_the_demo_village_is_refused() -> None:
    with pytest.raises(ValueError, match=JINSHA):
        town(today=TODAY, villages=[v for v in VILLAGES if v.code != JINSHA])


def test_a_household_has_one_head_and_no_two_of_one_name(households: list[list[Person]]) -> None:
    for household in households:
        assert [person["与户主关系"] for person in household].count("户主") == 1
        assert household[0]["与户主关系"] == "户主"
        assert len({person["姓名"] for person in household}) == len(household)
        assert sum(person["与户主关系"] == "配偶" for person in household) <= 1


def families(
    household: list[Person],
) -> Iterator[tuple[tuple[Person | None, Person | None], list[Person]]]:
    """Each couple or single parent of a household with the children the words give them."""
    by_word: defaultdict[str, list[Person]] = defaultdict(list)
    for person in household:
        by_word[person["与户主关系"]].append(person)

    def parents(words: tuple[str, ...]) -> tuple[Person | None, Person | None]:
        found = [person for word in words for person in by_word[word]]
        mothers = [person for person in found if person["性别"] == "女"]
        fathers = [person for person in found if person["性别"] == "男"]
        assert len(mothers) <= 1
        assert len(fathers) <= 1
        return (mothers or [None])[0], (fathers or [None])[0]

    yield parents(("户主", "配偶")), by_word["子"] + by_word["女"]
    if by_word["儿媳"]:
        yield parents(("儿媳", "子")), by_word["孙子"] + by_word["孙女"]
    if by_word["女婿"]:
        yield parents(("女婿", "女")), by_word["孙子"] + by_word["孙女"]
    yield parents(("父亲", "母亲")), by_word["户主"]


def test_parents_and_partners_are_of_plausible_ages(households: list[list[Person]]) -> None:
    mothers = 0
    for household in households:
        for (mother, father), children in families(household):
            for child in children:
                if mother:
                    mothers += 1
                    assert 19 <= years_between(mother, child) <= 45
                if father:
                    assert 19 <= years_between(father, child) <= 52
                if (mother or father) and child["性别"] == "男" and father:
                    assert child["姓名"][0] == father["姓名"][0]
            if mother and father and children:
                assert -4 < years_between(father, mother) < 9
        for person in household:
            if person["婚姻状况"] != "未婚":
                legal = 22 if person["性别"] == "男" else 20
                assert birthday(born(person), legal) <= TODAY
    assert mothers > 10_000


def test_siblings_are_not_born_within_a_year(households: list[list[Person]]) -> None:
    for household in households:
        for _, children in families(household):
            days = sorted(born(child) for child in children)
            assert all((b - a).days > 300 for a, b in pairwise(days))


def test_the_pyramid_is_that_of_an_ageing_county(everyone: list[Person]) -> None:
    ages = Counter(TODAY.year - born(person).year for person in everyone)
    share = {
        "children": sum(ages[age] for age in range(15)) / 590,
        "over_60": sum(ages[age] for age in range(60, 120)) / 590,
        "over_65": sum(ages[age] for age in range(65, 120)) / 590,
    }
    assert 10 < share["children"] < 15
    assert 22 < share["over_60"] < 30
    assert 16 < share["over_65"] < 22
    assert max(ages) <= 106
    women = sum(person["性别"] == "女" for person in everyone) / 590
    assert 48.5 < women < 51.5


def test_phones_are_valid_and_children_have_none(everyone: list[Person]) -> None:
    several = 0
    for person in everyone:
        phones = [phone for phone in person["联系电话"].split("/") if phone]
        several += len(phones) == 2
        for phone in phones:
            assert len(phone) == 11
            assert phonenumbers.is_valid_number(phonenumbers.parse(phone, "CN"))
        if birthday(born(person), 14) > TODAY:
            assert not phones
    assert 500 < several < 5_000


def test_words_fit_the_age(everyone: list[Person]) -> None:
    for person in everyone:
        day = born(person)
        labels = set(person["标签"].split("、")) - {""}
        started = date.fromisoformat(person["入住时间"])
        assert day < started <= TODAY
        if birthday(day, 14) > TODAY:
            assert person["婚姻状况"] == "未婚"
            assert person["政治面貌"] == "群众"
            assert not labels
        if birthday(day, 18) > TODAY:
            assert person["政治面貌"] != "中共党员"
            assert person["职业"] in {"学生", ""}
        if birthday(day, 6) > TODAY:
            assert not person["文化程度"]
            assert not person["职业"]
        if birthday(day, 80) > TODAY:
            assert "高龄津贴" not in labels
        if birthday(day, 60) > TODAY:
            assert "养老服务" not in labels
        if person["职业"] == "退休":
            assert birthday(day, 55) <= TODAY
        if "退役军人" in labels:
            assert person["性别"] == "男"
    assert {label for person in everyone for label in person["标签"].split("、")} == {
        "", "志愿者", "居民骨干", "产业人才", "书法爱好", "广场舞爱好", "退役军人", "优抚对象", "高龄津贴", "养老服务",
    }  # fmt: skip
    assert 56_000 < sum(person["民族"] == "汉族" for person in everyone) < 58_500


def test_hamlets_have_groups_and_houses_and_compounds_have_rooms(everyone: list[Person]) -> None:
    rural = {village.code for village in VILLAGES if village.rural}
    assert len(rural) == 7
    hamlets = 0
    for person in everyone:
        assert person["楼栋"]
        assert person["房号"]
        if person["小区"]:
            assert person["楼栋"].endswith("栋")
            assert person["单元"].endswith("单元")
            assert person["房号"].isdigit()
        else:
            hamlets += 1
            assert person["village"] in rural
            assert person["楼栋"].endswith("组")
            assert person["房号"].endswith("号")
            assert not person["单元"]
    assert hamlets > 15_000


def test_the_register_understands_every_word_and_every_home(everyone: list[Person]) -> None:
    columns = {
        "sex": "性别",
        "ethnicity": "民族",
        "education": "文化程度",
        "marital_status": "婚姻状况",
        "political_status": "政治面貌",
        "relation_to_head": "与户主关系",
        "population_type": "人口类型",
        "tenure": "居住类型",
    }
    for name, column in columns.items():
        for word in {person[column] for person in everyone} - {""}:
            assert CODE_LISTS[name].find(word), word
    homes = {home(person) for person in everyone}
    located = {
        (village, locate(Parts(compound=compound, building=building, unit=unit, room=room)))
        for village, compound, building, unit, room in homes
    }
    assert len(located) == len(homes)
    assert None not in {dwelling for _, dwelling in located}


def test_short_names_leave_the_kind_of_village_out() -> None:
    assert Village("510182104006", "金沙社区居委会").short_name == "金沙"
    assert Village("510182104213", "天宝村村委会").short_name == "天宝"
    assert Village("510182104213", "别处").short_name == "别处"
