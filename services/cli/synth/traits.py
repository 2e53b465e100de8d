"""What age, sex and place make likely: schooling, work, party, labels.

The words are those of the ledgers; shares are rough ones of a county town in Sichuan.
"""

from collections.abc import Callable, Sequence

_Shares = Sequence[tuple[float, str]]  # each with the share up to and including it

# By the last age they hold for: what people of that age went through.
_SCHOOLING: Sequence[tuple[int, _Shares]] = (
    (5, ((1.0, ""),)),
    (11, ((1.0, "小学"),)),
    (14, ((1.0, "初中"),)),
    (17, ((0.35, "中专"), (0.93, "高中"), (1.0, "初中"))),
    (22, ((0.10, "初中"), (0.25, "中专"), (0.45, "高中"), (0.75, "大专"), (1.0, "大学本科"))),
    (35, ((0.24, "初中"), (0.38, "中专"), (0.52, "高中"), (0.77, "大专"), (0.98, "大学本科"), (1.0, "硕士研究生"))),
    (50, ((0.10, "小学"), (0.55, "初中"), (0.67, "中专"), (0.80, "高中"), (0.92, "大专"), (0.99, "大学本科"), (1.0, "硕士研究生"))),
    (65, ((0.35, "小学"), (0.82, "初中"), (0.86, "中专"), (0.97, "高中"), (0.99, "大专"), (1.0, "大学本科"))),
    (999, ((0.78, "小学"), (0.95, "初中"), (0.97, "中专"), (0.99, "高中"), (1.0, "大学本科"))),
)  # fmt: skip
_HIGHER = {"大专", "大学本科", "硕士研究生"}

_ETHNICITIES: _Shares = ((0.976, "汉族"), (0.985, "藏族"), (0.993, "羌族"), (1.0, "回族"))


def _of(shares: _Shares, chance: float) -> str:
    for upto, word in shares:
        if chance < upto:
            return word
    return shares[-1][1]


def ethnicity(draw: Callable[[], float]) -> str:
    return _of(_ETHNICITIES, draw())


def education(age: int, draw: Callable[[], float]) -> str:
    return _of(next(shares for upto, shares in _SCHOOLING if age <= upto), draw())


def occupation(
    age: int, *, male: bool, schooling: str, hamlet: bool, draw: Callable[[], float]
) -> str:
    if age < 6:
        return ""
    if age < 18 or (age < 23 and schooling in _HIGHER and draw() < 0.85):
        return "学生"
    if age >= (60 if male else 55):
        if not hamlet or schooling not in {"小学", "初中"}:
            return "退休"
        return "务农" if age < 76 else ""
    chance = draw()
    if schooling in _HIGHER and chance < 0.08:
        return "教师"
    if hamlet:
        return "务农" if chance < 0.15 + age / 140 else "务工" if chance < 0.9 else "个体"
    return "务工" if chance < 0.66 else "个体" if chance < 0.9 else ""


def politics(age: int, *, schooling: str, draw: Callable[[], float]) -> str:
    chance = draw()
    if age >= 20 and chance < (0.14 if schooling in _HIGHER else 0.06):
        return "中共党员"
    if 14 <= age < 28 and chance > 0.45:
        return "共青团员"
    return "群众"


def labels(age: int, *, male: bool, schooling: str, party: str, draw: Callable[[], float]) -> str:
    """What workers label people with, joined as they write it: 志愿者、书法爱好."""
    if age < 16:
        return ""
    found: list[str] = []
    if draw() < (0.14 if party == "中共党员" else 0.05) and age < 75:
        found.append("志愿者")
    if 28 <= age < 72 and draw() < (0.09 if party == "中共党员" else 0.012):
        found.append("居民骨干")
    if 22 <= age < 60 and draw() < (0.07 if schooling in _HIGHER else 0.006):
        found.append("产业人才")
    if draw() < 0.018:
        found.append("书法爱好")
    if not male and 42 <= age < 76 and draw() < 0.13:
        found.append("广场舞爱好")
    if male and age >= 20 and draw() < 0.035:
        found.append("退役军人")
        if draw() < 0.2:
            found.append("优抚对象")
    elif draw() < 0.004:
        found.append("优抚对象")
    if age >= 80 and draw() < 0.88:
        found.append("高龄津贴")
    if age >= 60 and draw() < (0.3 if age >= 80 else 0.09):
        found.append("养老服务")
    return "、".join(found)
