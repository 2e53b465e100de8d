"""Who visits whom: visits spread evenly over the workers in whose areas they lie."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.areas import Area, Place


@dataclass(frozen=True, slots=True)
class Worker:
    """`load`: visits that the worker has already."""

    account: UUID
    areas: tuple[Area, ...]
    load: int = 0


def spread(places: Sequence[Place], workers: Sequence[Worker]) -> list[UUID | None]:
    """For each place the account that goes there; None where it lies in nobody's areas.

    As even as the areas allow: no other way gives the worker with most visits fewer, nor the next.
    Each worker's visits lie side by side, grid by grid. Deterministic.
    """
    order = sorted(range(len(places)), key=lambda index: _where(places[index]))
    fit_for = {place: _fit(place, workers) for place in set(places)}
    groups: dict[frozenset[int], list[int]] = {}
    for index in order:
        groups.setdefault(fit_for[places[index]], []).append(index)
    groups.pop(frozenset(), None)
    # Whoever can go to few places is given those before others take them.
    fits = sorted(groups, key=lambda fit: (len(fit), sorted(fit)))
    shares = _even({fit: len(groups[fit]) for fit in fits}, [worker.load for worker in workers])
    found: list[UUID | None] = [None] * len(places)
    for fit in fits:
        waiting = iter(groups[fit])
        for worker in sorted(fit):
            for _ in range(shares[fit].get(worker, 0)):
                found[next(waiting)] = workers[worker].account
    return found


def _fit(place: Place, workers: Sequence[Worker]) -> frozenset[int]:
    return frozenset(n for n, worker in enumerate(workers) if place.within(worker.areas))


def _where(place: Place) -> tuple[str, str, str]:
    return place.division_code, place.grid_code or "", str(place.compound_id or "")


def _even(
    sizes: Mapping[frozenset[int], int], loads: list[int]
) -> dict[frozenset[int], dict[int, int]]:
    """How many of each group each worker takes. `loads` are those before, and are counted up.

    Each group goes to its least loaded workers; then single visits move from a worker to one with
    at least two fewer, through others where it must be, until no such way is left. Then the loads
    are as even as they can be (Harvey and others 2006: cost-reducing paths).
    """
    shares: dict[frozenset[int], dict[int, int]] = {fit: {} for fit in sizes}
    for fit, size in sizes.items():
        for _ in range(size):
            worker = min(fit, key=lambda n: (loads[n], n))
            loads[worker] += 1
            shares[fit][worker] = shares[fit].get(worker, 0) + 1
    while any(_improved(shares, loads, start) for start in _by_load(loads)):
        pass
    return shares


def _by_load(loads: Sequence[int]) -> list[int]:
    return sorted(range(len(loads)), key=lambda n: (-loads[n], n))


def _improved(
    shares: Mapping[frozenset[int], dict[int, int]], loads: list[int], start: int
) -> bool:
    """Move one visit off `start`, if there is a way to somebody with at least two fewer."""
    came: dict[int, tuple[int, frozenset[int]]] = {}
    waiting = deque([start])
    while waiting:
        giver = waiting.popleft()
        for fit, taken in shares.items():
            if not taken.get(giver):
                continue
            for taker in sorted(fit):
                if taker == start or taker in came:
                    continue
                came[taker] = giver, fit
                if loads[taker] <= loads[start] - 2:
                    _move(shares, came, start, taker)
                    loads[start] -= 1
                    loads[taker] += 1
                    return True
                waiting.append(taker)
    return False


def _move(
    shares: Mapping[frozenset[int], dict[int, int]],
    came: Mapping[int, tuple[int, frozenset[int]]],
    start: int,
    end: int,
) -> None:
    while end != start:
        giver, fit = came[end]
        shares[fit][giver] -= 1
        shares[fit][end] = shares[fit].get(end, 0) + 1
        end = giver
