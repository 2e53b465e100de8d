"""Small counts stay hidden, also from who subtracts."""

import random

from services.residents_api.domain.disclosure import SMALL, hidden

GROUPS = ("a", "b", "c", "d")


def test_counts_that_are_large_enough_are_shown() -> None:
    table = {"x": {"a": 5, "b": 90}, "y": {"a": 7}}
    assert hidden(table, GROUPS, above=(), unlisted={}) == {"x": set(), "y": set()}


def test_a_small_count_has_company_in_its_row() -> None:
    found = hidden({"x": {"a": 3, "b": 20, "c": 90}}, GROUPS, above=None, unlisted={})
    assert found == {"x": {"a", "b"}}


def test_two_ones_are_not_company_enough() -> None:
    found = hidden({"x": {"a": 1, "b": 1, "c": 90}}, GROUPS, above=None, unlisted={})
    assert found == {"x": {"a", "b", "c"}}


def test_who_is_alone_in_an_area_is_of_no_known_group() -> None:
    found = hidden({"x": {"b": 2}}, GROUPS, above=None, unlisted={})
    assert found == {"x": set(GROUPS)}


def test_a_small_count_has_company_in_its_column() -> None:
    """Else the town's count without the other villages' would be it."""
    table = {"x": {"a": 3, "b": 50}, "y": {"a": 30, "b": 50}, "z": {"a": 20, "b": 40}}
    found = hidden(table, GROUPS, above=(), unlisted={})
    assert found["x"] == {"a", "b"}
    assert "a" in found["z"]
    assert sum("b" in categories for categories in found.values()) > 1


def test_what_the_larger_area_hides_the_smaller_ones_do_not_give_away() -> None:
    table = {"x": {"a": 30, "b": 50}, "y": {"a": 20, "b": 60}}
    found = hidden(table, GROUPS, above={"a", "c"}, unlisted={})
    for category in ("a", "c"):
        assert any(category in categories for categories in found.values())


def test_what_stands_in_no_row_is_company() -> None:
    table = {"x": {"a": 4, "b": 6, "c": 40}, "y": {"a": 40, "b": 40, "c": 40}}
    found = hidden(table, GROUPS, above=(), unlisted={"a": 20, "b": 30})
    assert found == {"x": {"a", "b"}, "y": set()}


def test_nothing_hidden_follows_from_a_sum() -> None:
    rng = random.Random(7)  # noqa: S311 - the same every time
    for _ in range(300):
        areas = [f"v{n}" for n in range(rng.randint(1, 6))]
        table = {
            area: {group: rng.choice((0, 0, 1, 2, 4, 5, 9, 60)) for group in GROUPS}
            for area in areas
        }
        whole = {group: sum(table[area][group] for area in areas) for group in GROUPS}
        above = hidden({"whole": whole}, GROUPS, above=None, unlisted={})["whole"]
        found = hidden(table, GROUPS, above=above, unlisted={})
        for area in areas:
            small = {group for group in GROUPS if 0 < table[area][group] < SMALL}
            assert small <= found[area]
            assert not found[area] or len(found[area]) > 1
        for group in GROUPS:
            column = [area for area in areas if group in found[area]]
            if group in above:
                assert column
            else:
                assert not column or len(column) > 1 or len(areas) == 1
