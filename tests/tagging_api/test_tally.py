"""What answers are taken, and what of them is told of few people."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.tagging_api.domain.surveys import (
    FEWEST_SHOWN,
    Fault,
    Question,
    QuestionKind,
    QuestionTally,
    faults,
    tally,
)

NEED = Question("need", QuestionKind.SINGLE, options=("yes", "no", "maybe"))
TOPICS = Question("topics", QuestionKind.MULTIPLE, required=False, options=("a", "b", "c"))
CHILDREN = Question("children", QuestionKind.NUMBER, required=False, minimum=0, maximum=15)
REMARKS = Question("remarks", QuestionKind.TEXT, required=False)
ALL = [NEED, TOPICS, CHILDREN, REMARKS]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"need": "yes"}, []),
        ({"need": "yes", "topics": [], "children": 0, "remarks": "无"}, []),
        ({"need": "no", "topics": ["c", "a"], "children": 15}, []),
        ({"need": "no", "children": 1.5}, []),
        ({}, [(("need",), Fault.MISSING)]),
        ({"need": "never"}, [(("need",), Fault.NO_OPTION)]),
        ({"need": ["yes"]}, [(("need",), Fault.NO_OPTION)]),
        ({"need": "yes", "topics": "a"}, [(("topics",), Fault.NO_CHOICE)]),
        ({"need": "yes", "topics": ["a", 1]}, [(("topics", 1), Fault.NO_OPTION)]),
        ({"need": "yes", "topics": ["a", "b", "a"]}, [(("topics", 2), Fault.TWICE)]),
        ({"need": "yes", "children": "2"}, [(("children",), Fault.NO_NUMBER)]),
        ({"need": "yes", "children": True}, [(("children",), Fault.NO_NUMBER)]),
        ({"need": "yes", "children": 16}, [(("children",), Fault.OUT_OF_RANGE)]),
        ({"need": "yes", "children": -0.1}, [(("children",), Fault.OUT_OF_RANGE)]),
        ({"need": "yes", "remarks": 5}, [(("remarks",), Fault.NO_TEXT)]),
        ({"need": "yes", "more": "x"}, [(("more",), Fault.UNKNOWN)]),
    ],
)
def test_what_answers_are_taken(answers: dict[str, Any], expected: list[Any]) -> None:
    assert list(faults(ALL, answers)) == expected


def told(
    question: Question, values: list[Any], *, hide: bool = False, texts: bool = True
) -> QuestionTally:
    sheets = [{question.key: value} for value in values] + [{}]
    return tally(question, sheets, population=100, hide_few=hide, texts=texts)


def test_shares_are_of_those_who_answered() -> None:
    found = told(NEED, ["yes"] * 6 + ["no"] * 2)
    assert (found.answered, [(each.option, each.count) for each in found.options]) == (
        8,
        [("yes", 6), ("no", 2), ("maybe", 0)],
    )
    assert [each.share.value for each in found.options if each.share] == [0.75, 0.25, 0]
    nobody = told(NEED, [])
    assert (nobody.answered, [each.count for each in nobody.options]) == (0, [0, 0, 0])
    assert all(each.share is None for each in nobody.options)


def test_several_choices_may_be_everybodys() -> None:
    found = told(TOPICS, [["a", "b"], ["a"], []])
    assert [each.count for each in found.options] == [2, 1, 0]


def test_numbers_and_texts() -> None:
    found = told(CHILDREN, [0, 1, 2, 1.0])
    assert found.mean is not None
    assert (found.mean.value, found.smallest, found.largest) == (1.0, 0, 2)
    assert told(CHILDREN, []).mean is None
    hidden = told(CHILDREN, [0, 1, 2, 1, 3], hide=True)
    assert (hidden.mean is not None, hidden.smallest, hidden.largest) == (True, None, None)
    assert told(REMARKS, ["好", "无"]).texts == ("好", "无")
    assert told(REMARKS, ["好", "无"], texts=False).texts == ()


@pytest.mark.parametrize(
    ("question", "values", "counts"),
    [
        (NEED, ["yes"] * 4, None),
        (NEED, ["yes"] * 5, [5, 0, 0]),
        (NEED, ["yes"] * 90 + ["no"] * 10, [90, 10, 0]),
        # Two that are hidden may be few together: a third joins them, and then nothing is told.
        (NEED, ["yes"] * 96 + ["no"] * 2 + ["maybe"] * 2, [None, None, None]),
        (NEED, ["yes"] * 90 + ["no"] * 7 + ["maybe"] * 3, [90, None, None]),
        (NEED, ["yes"] * 98 + ["no"] * 2, [None, None, 0]),
        (NEED, ["yes"] * 50 + ["no"] * 46 + ["maybe"] * 4, [50, None, None]),
        (TOPICS, [["a"]] * 4 + [["b"]] * 6, [None, None, 0]),
        (TOPICS, [["a"]] * 5 + [["b"]] * 6, [5, 6, 0]),
    ],
)
def test_what_is_told_of_few(
    question: Question, values: list[Any], counts: list[int | None] | None
) -> None:
    found = told(question, values, hide=True)
    if counts is None:
        assert found.answered is None
        assert all(each.count is None and each.share is None for each in found.options)
    else:
        assert found.answered == len(values)
        assert [each.count for each in found.options] == counts


@settings(max_examples=500)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=5))
def test_no_few_can_be_worked_out(counts: list[int]) -> None:
    question = Question("q", QuestionKind.SINGLE, options=tuple("abcde"[: len(counts)]))
    values = [option for option, n in zip(question.options, counts, strict=True) for _ in range(n)]
    found = told(question, values, hide=True)
    if found.answered is None:
        assert 0 < sum(counts) < FEWEST_SHOWN
        return
    shown = [each.count for each in found.options if each.count is not None]
    assert all(count == 0 or count >= FEWEST_SHOWN for count in shown)
    hidden = [n for n, each in zip(counts, found.options, strict=True) if each.count is None]
    if hidden:
        # The total less what is shown is told of at least two options and five people.
        assert len(hidden) >= 2
        assert sum(hidden) >= FEWEST_SHOWN or sum(counts) < FEWEST_SHOWN
