"""When something may be sent: quiet hours, and pauses between attempts."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from services.common.clock import SHANGHAI


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` on the city's clock, over midnight if `end` is earlier; the same: never."""

    start: time
    end: time

    def ends(self, now: datetime) -> datetime | None:
        """When the quiet hours that `now` lies in are over; None if it lies in none."""
        if self.start == self.end:
            return None
        local = now.astimezone(SHANGHAI)
        clock = local.time()
        today = datetime.combine(local.date(), self.end, SHANGHAI)
        if self.start < self.end:
            return today.astimezone(now.tzinfo) if self.start <= clock < self.end else None
        if clock >= self.start:
            return (today + timedelta(days=1)).astimezone(now.tzinfo)
        return today.astimezone(now.tzinfo) if clock < self.end else None


def backoff(attempts: int, *, first: timedelta, longest: timedelta, chance: float) -> timedelta:
    """How long to wait after so many failed attempts: twice as long each time, and at random
    between half of it and all of it, so that what failed together does not come back together.

    `chance` lies between 0 and 1.
    """
    # Two to the power of more than 40 exceeds any longest wait.
    whole = min(first * 2 ** min(attempts - 1, 40), longest)
    return whole / 2 + whole / 2 * chance
