"""Programs in volume: the same steps and draws as those of the state machines, chosen by a plain random generator."""

from __future__ import annotations

import random

from syscalls.fuzz.program import Program
from syscalls.fuzz.steps import Builder, first_objects, steps


def random_program(group: str, source: random.Random, length: int, also: str | None = None) -> Program:
    """A program of so many steps of a group of calls, or of two."""
    builder = Builder()
    pools = first_objects(builder)
    # A few calls of the group at a time: they meet each other's objects.
    every = steps(group) if also is None else steps(group) + steps(also)
    some = [source.choice(every) for _ in range(max(3, length // 2))]
    for _ in range(length):
        step = source.choice(some if source.random() < 0.7 else every)
        made = step.act(builder, **{name: draw.draw(source, pools) for name, draw in step.arguments.items()})
        if step.bundle:
            pools[step.bundle] += made
    return builder.program()
