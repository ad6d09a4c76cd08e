"""Memory policies of ranges of addresses (mm/mempolicy.c): kept and told back, for there is but one node."""

from __future__ import annotations

Policy = tuple[int, int]
"""Mode with its flags, and the nodes."""


class RangePolicies:
    """What mbind(2) has set, as ranges that do not overlap."""

    __slots__ = ("ranges",)

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int, Policy]] = []

    def set(self, start: int, end: int, policy: Policy | None) -> None:
        """None: these addresses have none any more."""
        kept = []
        for low, high, old in self.ranges:
            if low < start:
                kept.append((low, min(high, start), old))
            if high > end:
                kept.append((max(low, end), high, old))
        if policy is not None:
            kept.append((start, end, policy))
        self.ranges = kept

    def at(self, address: int) -> Policy | None:
        return next((policy for low, high, policy in self.ranges if low <= address < high), None)

    def copy(self) -> RangePolicies:
        other = RangePolicies()
        other.ranges = list(self.ranges)
        return other
