"""What a kilowatt-hour and an hour of the machine cost."""

import msgspec


class Price(msgspec.Struct, frozen=True):
    """What a reader pays, in one currency. ``None``: not told."""

    per_kwh: float | None = None
    per_hour: float | None = None
    """For the machine's time"""


NO_PRICE = Price()
