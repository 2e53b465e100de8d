"""The life of a campaign, and of what it sends: states, and which step leads from which to which."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class CampaignState(StrEnum):
    """`awaiting_approval`: it reaches so many that a second person must agree. `sending` goes on
    until every delivery is settled. `stopped`: its rule could not be sent by any more, most often
    because a tag in it became one of the highest sensitivity.
    """

    DRAFT = "draft"
    AWAITING_APPROVAL = "awaiting_approval"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    SENT = "sent"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


class Step(StrEnum):
    """What may happen to a campaign."""

    SUBMIT = "submit"
    SCHEDULE = "schedule"
    BEGIN = "begin"
    REJECT = "reject"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    FINISH = "finish"
    RESEND = "resend"
    STOP = "stop"


_S = CampaignState
_TRANSITIONS: Final[Mapping[Step, Mapping[CampaignState, CampaignState]]] = {
    # From `scheduled`, if more people are found when it is due than one person may decide on.
    Step.SUBMIT: dict.fromkeys((_S.DRAFT, _S.SCHEDULED, _S.SENDING), _S.AWAITING_APPROVAL),
    Step.SCHEDULE: dict.fromkeys((_S.DRAFT, _S.AWAITING_APPROVAL), _S.SCHEDULED),
    Step.BEGIN: dict.fromkeys((_S.DRAFT, _S.AWAITING_APPROVAL, _S.SCHEDULED), _S.SENDING),
    Step.REJECT: {_S.AWAITING_APPROVAL: _S.DRAFT},
    Step.PAUSE: {_S.SENDING: _S.PAUSED},
    Step.RESUME: {_S.PAUSED: _S.SENDING},
    Step.CANCEL: dict.fromkeys(
        (_S.DRAFT, _S.AWAITING_APPROVAL, _S.SCHEDULED, _S.SENDING, _S.PAUSED), _S.CANCELLED
    ),
    Step.FINISH: {_S.SENDING: _S.SENT},
    Step.RESEND: {_S.SENT: _S.SENDING, _S.SENDING: _S.SENDING, _S.PAUSED: _S.PAUSED},
    Step.STOP: dict.fromkeys((_S.SCHEDULED, _S.SENDING), _S.STOPPED),
}


def after(state: CampaignState, step: Step) -> CampaignState | None:
    """The state after a step; None if the step cannot be taken from there."""
    return _TRANSITIONS[step].get(state)


class Channel(StrEnum):
    """How a message gets to people. A broadcast is heard by an area; all others reach residents."""

    IN_APP = "in_app"
    WEBHOOK = "webhook"
    SMS = "sms"
    PUSH = "push"
    BROADCAST = "broadcast"


PERSONAL: Final = tuple(channel for channel in Channel if channel is not Channel.BROADCAST)
# Carried by parcels: what leaves this service, and may fail on its way.
CARRIED: Final = tuple(channel for channel in Channel if channel is not Channel.IN_APP)


class DeliveryState(StrEnum):
    """`failed` is tried again, `dead` is not, unless somebody asks for it. `unknown`: the process
    died while it was handing the message over, on a channel that cannot tell a repetition; it is
    never sent again.
    """

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DEAD = "dead"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


# A parcel that has not come to an end; `sending` is known of parcels only.
SENDING: Final = "sending"
OPEN: Final = (DeliveryState.PENDING.value, DeliveryState.FAILED.value, SENDING)


class SkipReason(StrEnum):
    """Why a resident in the audience gets nothing; the first that holds. `opted_out` and
    `frequency_cap` do not hold an emergency back. `cancelled`: the campaign was, before its turn.
    """

    DECEASED = "deceased"
    MOVED_OUT = "moved_out"
    MERGED = "merged"
    ERASED = "erased"
    UNDER_14 = "under_14"
    OPTED_OUT = "opted_out"
    FREQUENCY_CAP = "frequency_cap"
    HELD_OUT = "held_out"
    CANCELLED = "cancelled"


# Who is too young is never reached by targeting.
YOUNGEST: Final = 14
EMERGENCY_TOPIC: Final = "emergency"
