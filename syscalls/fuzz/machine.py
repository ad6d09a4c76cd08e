"""Rule-based state machines that make programs: one rule for each step of a group, bundles for the objects.

The rules do not run anything: they append operations.  When the machine ends, the program is run on all sides and
compared, so that hypothesis shrinks programs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule

from syscalls.fuzz.program import Program
from syscalls.fuzz.steps import BUNDLES, Builder, Step, first_objects, steps


class Machine(RuleBasedStateMachine):
    """What all groups share.  `run` is set by who fuzzes."""

    run: Callable[[Program], None]

    def __init__(self) -> None:
        super().__init__()
        self.builder = Builder()
        self.first = first_objects(self.builder)

    def teardown(self) -> None:
        program = self.builder.program()
        if program.operations:
            type(self).run(program)


def machine(group: str, run: Callable[[Program], None]) -> type[Machine]:
    """The state machine of a group of calls."""
    bundles: dict[str, Bundle[Any]] = {name: Bundle(name) for name in BUNDLES}

    def first(name: str) -> Any:
        def objects(self: Machine) -> Any:
            return multiple(*self.first[name])
        objects.__name__ = f"first_{name}"
        return initialize(target=bundles[name])(objects)

    def made(step: Step) -> Any:
        def act(self: Machine, **drawn: Any) -> Any:
            objects = step.act(self.builder, **drawn)
            return multiple(*objects) if step.bundle else None
        act.__name__ = step.name
        given: dict[str, Any] = {name: draw.strategy(bundles) for name, draw in step.arguments.items()}
        if step.bundle:
            given["target"] = bundles[step.bundle]
        decorate: Callable[[Any], Any] = rule(**given)
        return decorate(act)

    body: dict[str, Any] = {"run": staticmethod(run)}
    body |= {f"first_{name}": first(name) for name in BUNDLES}
    body |= {f"step{index}_{step.name}": made(step) for index, step in enumerate(steps(group))}
    return type(f"Fuzz_{group}", (Machine,), body)
