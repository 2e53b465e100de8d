"""Who lives together: ages, kinship and marriage, with the register's words for them.

Ages are in years and may be broken; a woman's age may move by up to half a year to keep clear
of the boundaries (see `ages`), so what must hold exactly is drawn with that to spare.
"""

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from services.cli.synth import names
from services.cli.synth.ages import OLDEST, YEAR, YOUNGEST, Ages

LARGEST = 7  # a couple, three children and two parents

Tenure = Literal["owner", "tenant"]

# Shares of a band, and the ages it spans.
_Bands = Sequence[tuple[int, float, float]]
_ELDER_ALONE: _Bands = [(20, 60, 68), (40, 68, 78), (32, 78, 88), (8, 88, 98)]
_ELDER_WIFE: _Bands = [(30, 56, 62), (50, 62, 74), (20, 74, 87)]
_ALONE: _Bands = [(13, 19, 25), (34, 25, 36), (20, 36, 46), (33, 46, 60)]
_SHARING: _Bands = [(35, 18.5, 25), (45, 25, 36), (20, 36, 50)]
_CHILDLESS_WIFE: _Bands = [(10, 21.5, 30), (8, 30, 42), (82, 42, 58)]
_MOTHER: _Bands = [(3, 22.5, 27), (12, 27, 35), (41, 35, 46), (44, 46, 57)]
_MIDDLE_MOTHER: _Bands = [(5, 22.5, 27), (20, 27, 35), (55, 35, 46), (20, 46, 54)]
_GRANDMOTHER: _Bands = [(45, 50, 60), (55, 60, 70)]
_CARING_WIFE: _Bands = [(50, 44, 56), (50, 56, 67)]


@dataclass(slots=True, repr=False)
class Person:
    birth: int  # ordinal day
    male: bool
    surname: str
    marital: str
    relation: str = "户主"
    name: str = ""


@dataclass(slots=True, repr=False)
class Household:
    people: list[Person]
    tenure: Tenure


class Pace:
    """Keeps a village on the way to its number of women aged 25 to 35, by the sex of the unmarried."""

    # Stay this many women behind, for the closing tenants to fill up.
    LAG = 20

    def __init__(self, *, residents: int, young_women: int | None) -> None:
        self._residents, self._wanted = residents, young_women
        self.people = self.young_women = 0

    def wants_woman(self, draw: Callable[[], float]) -> bool:
        if self._wanted is None:
            return draw() < 0.45
        expected = self._wanted * self.people / self._residents
        return self.young_women + self.LAG < expected

    def missing(self) -> int:
        """Young women still to come; nobody's business where no number was asked for."""
        return 0 if self._wanted is None else self._wanted - self.young_women


class Families:
    def __init__(self, *, ages: Ages, pace: Pace, draw: Callable[[], float]) -> None:
        self._ages, self._pace, self._draw = ages, pace, draw
        # How common each is among a hundred households of a hamlet, and of a compound.
        kinds = (
            (self._elder_alone, 7, 7),
            (self._elder_couple, 17, 14),
            (self._alone, 7, 11),
            (self._childless, 8, 9),
            (self._parents_and_children, 19, 29),
            (self._parent_alone, 3, 4),
            (self._three_generations, 25, 18),
            (self._grandparents, 5, 2),
            (self._caring, 7, 4),
            (self._sharing, 2, 2),
        )
        self._kinds = [kind for kind, _, _ in kinds]
        self._in_hamlet = list(accumulate(weight for _, weight, _ in kinds))
        self._in_compound = list(accumulate(weight for _, _, weight in kinds))

    def household(self, *, hamlet: bool) -> Household:
        weights = self._in_hamlet if hamlet else self._in_compound
        build = self._kinds[bisect(weights, self._draw() * weights[-1])]
        return self._counted(build())

    def tenants(self, *, most: int, young_women: int) -> Household:
        """Up to three tenants, never more than `most`; first come the young women asked for."""
        size = min(most, 1 + int(self._draw() * 3))
        people = [
            self._person(0, male=False, birth=self._ages.young_woman(self._draw))
            if place < young_women
            else self._person(self._between(19, 50), male=True)
            for place in range(size)
        ]
        return self._counted(self._strangers(people))

    def _counted(self, household: Household) -> Household:
        self._pace.people += len(household.people)
        taken: set[str] = set()
        for person in household.people:
            self._pace.young_women += self._ages.is_young_woman(person.birth, male=person.male)
            born = int(person.birth / YEAR) + 1
            while not person.name or person.name in taken:
                given = names.given_name(self._draw, born=born, male=person.male)
                person.name = person.surname + given
            taken.add(person.name)
        return household

    # --- one by one -------------------------------------------------------------------------

    def _between(self, low: float, high: float) -> float:
        return low + (high - low) * self._draw()

    def _around(self, middle: float, spread: float) -> float:
        return middle + spread * (self._draw() + self._draw() - 1)

    def _age(self, bands: _Bands) -> float:
        chance = self._draw() * 100
        for share, low, high in bands:
            chance -= share
            if chance < 0:
                return self._between(low, high)
        raise AssertionError("the shares of a band make 100")

    def _person(
        self,
        age: float,
        *,
        male: bool,
        surname: str = "",
        marital: str = "未婚",
        relation: str = "户主",
        birth: int = 0,
    ) -> Person:
        birth = birth or self._ages.today - int(age * YEAR)
        if not male:
            birth = self._ages.clear(birth, self._draw)
        return Person(birth, male, surname or names.surname(self._draw), marital, relation)

    def _single(self, bands: _Bands) -> Person:
        """Someone who came alone: of 25 to 35, a woman when the village is short of them."""
        age = self._age(bands)
        if YOUNGEST <= age <= OLDEST + 1:
            if self._pace.wants_woman(self._draw):
                birth = self._ages.young_woman(self._draw)
                return self._person(age, male=False, marital=self._marital(age), birth=birth)
            return self._person(age, male=True, marital=self._marital(age))
        return self._person(age, male=self._draw() < 0.55, marital=self._marital(age))

    def _marital(self, age: float) -> str:
        """Of someone who lives without a partner, for work elsewhere at times."""
        chance = self._draw()
        if age < 24 or chance < 0.62 - age / 100:
            return "未婚"
        return "已婚" if chance < 0.8 else "离婚"

    def _couple(self, wife_age: float) -> tuple[Person, Person]:
        husband_age = max(22.6, self._around(wife_age + 2, 4))
        return (
            self._person(husband_age, male=True, marital="已婚"),
            self._person(wife_age, male=False, marital="已婚", relation="配偶"),
        )

    def _headed(self, husband: Person, wife: Person) -> list[Person]:
        if self._draw() < 0.82:
            return [husband, wife]
        husband.relation, wife.relation = "配偶", "户主"
        return [wife, husband]

    def _children(self, mother_age: float, surname: str, words: tuple[str, str]) -> list[Person]:
        """Those still at home. Their mother was 20 to 43 when they were born."""
        children: list[Person] = []
        mother_then = self._around(26, 6)
        wanted = 1 + (self._draw() < 0.38) + (self._draw() < 0.05)
        while wanted and mother_then < 43 and (age := mother_age - mother_then) > 0.1:
            if age < 18 or self._draw() < (0.6 if age < 24 else 0.4 if age < 30 else 0.1):
                free = YOUNGEST <= age <= OLDEST + 1
                male = not self._pace.wants_woman(self._draw) if free else self._draw() < 0.52
                word = words[0] if male else words[1]
                children.append(self._person(age, male=male, surname=surname, relation=word))
            mother_then += self._between(2.2, 6.5)
            wanted -= 1
        return children

    def _parents(self, child: Person) -> list[Person]:
        """Father and mother of a grown person, or the one who is left."""
        child_age = (self._ages.today - child.birth) / YEAR
        mother_age = child_age + self._between(21, 29)
        father_age = max(mother_age - 1, self._around(mother_age + 2, 4))
        father_left, mother_left = self._left(father_age, 43), self._left(mother_age, 48)
        mother_left = mother_left or not father_left
        marital = "已婚" if father_left and mother_left else "丧偶"
        father = self._person(
            father_age, male=True, surname=child.surname, marital=marital, relation="父亲"
        )
        mother = self._person(mother_age, male=False, marital=marital, relation="母亲")
        return [father] * father_left + [mother] * mother_left

    def _left(self, age: float, span: float) -> bool:
        return self._draw() > ((max(age, 52) - 52) / span) ** 1.7

    # --- households -------------------------------------------------------------------------

    def _family(self, people: list[Person]) -> Household:
        return Household(people, "owner" if self._draw() < 0.9 else "tenant")

    def _strangers(self, people: list[Person]) -> Household:
        for person in people[1:]:
            person.relation = "其他"
        return Household(people, "tenant")

    def _elder_alone(self) -> Household:
        male, chance = self._draw() < 0.42, self._draw()
        marital = "丧偶" if chance < 0.78 else "未婚" if male and chance < 0.93 else "离婚"
        return self._family([self._person(self._age(_ELDER_ALONE), male=male, marital=marital)])

    def _elder_couple(self) -> Household:
        return self._family(self._headed(*self._couple(self._age(_ELDER_WIFE))))

    def _childless(self) -> Household:
        return self._family(self._headed(*self._couple(self._age(_CHILDLESS_WIFE))))

    def _alone(self) -> Household:
        person = self._single(_ALONE)
        return Household([person], "tenant" if self._draw() < 0.55 else "owner")

    def _sharing(self) -> Household:
        size = 2 + int(self._draw() * 3)
        return self._strangers([self._single(_SHARING) for _ in range(size)])

    def _parents_and_children(self) -> Household:
        mother_age = self._age(_MOTHER)
        husband, wife = self._couple(mother_age)
        children = self._children(mother_age, husband.surname, ("子", "女"))
        return self._family(self._headed(husband, wife) + children)

    def _parent_alone(self) -> Household:
        mother_age = self._age(_MOTHER)
        male, marital = self._draw() < 0.3, "离婚" if self._draw() < 0.8 else "丧偶"
        parent = self._person(mother_age + 2 * male, male=male, marital=marital)
        return self._family([parent, *self._children(mother_age, parent.surname, ("子", "女"))])

    def _three_generations(self) -> Household:
        mother_age = self._age(_MIDDLE_MOTHER)
        husband, wife = self._couple(mother_age)
        his = self._draw() < 0.85
        own, partner = (husband, wife) if his else (wife, husband)
        elders = self._parents(own)
        if self._draw() < 0.6:
            own.relation, partner.relation = "户主", "配偶"
            children = self._children(mother_age, husband.surname, ("子", "女"))
            return self._family([own, partner, *children, *elders])
        elders[0].relation = "户主"
        for other in elders[1:]:
            other.relation = "配偶"
        own.relation, partner.relation = ("子", "儿媳") if his else ("女", "女婿")
        children = self._children(mother_age, husband.surname, ("孙子", "孙女"))
        return self._family([*elders, own, partner, *children])

    def _grandparents(self) -> Household:
        """With grandchildren whose parents work far away."""
        age = self._age(_GRANDMOTHER)
        husband, wife = self._couple(age)
        children = self._children(age - self._between(21, 29), husband.surname, ("孙子", "孙女"))
        return self._family(self._headed(husband, wife) + children)

    def _caring(self) -> Household:
        """A couple whose children are grown, with the parents of the head."""
        head, spouse = self._headed(*self._couple(self._age(_CARING_WIFE)))
        return self._family([head, spouse, *self._parents(head)])
