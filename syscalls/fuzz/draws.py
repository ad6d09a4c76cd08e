"""Descriptions of values to draw: by hypothesis, which shrinks them, or by a plain random generator, in volume.

The combinators are those of `hypothesis.strategies`, of which each description makes its strategy.  Drawing by
`random` costs a fiftieth, which is what finds things; hypothesis is what makes a test of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Pools = dict[str, list[Any]]
"""Objects that a program has made so far, by the name of their bundle."""


class Draw:
    """Something to draw."""

    def draw(self, source: random.Random, pools: Pools) -> Any:
        raise NotImplementedError

    def strategy(self, bundles: dict[str, Any]) -> SearchStrategy[Any]:
        """The same for hypothesis; `bundles` are those of its state machine."""
        raise NotImplementedError

    def map(self, function: Callable[[Any], Any]) -> Draw:
        return Mapped(self, function)


class Sampled(Draw):
    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values

    def draw(self, source: random.Random, pools: Pools) -> Any:
        return self.values[int(source.random() * len(self.values))]

    def strategy(self, bundles: dict[str, Any]) -> SearchStrategy[Any]:
        from hypothesis import strategies as st
        return st.sampled_from(self.values)


class OneOf(Draw):
    def __init__(self, parts: Sequence[Draw]) -> None:
        self.parts = parts

    def draw(self, source: random.Random, pools: Pools) -> Any:
        return self.parts[int(source.random() * len(self.parts))].draw(source, pools)

    def strategy(self, bundles: dict[str, Any]) -> SearchStrategy[Any]:
        from hypothesis import strategies as st
        return st.one_of(*(part.strategy(bundles) for part in self.parts))


class Mostly(Draw):
    """One of `times` + 1 comes from `rare`."""

    def __init__(self, usual: Draw, rare: Draw, times: int) -> None:
        self.usual, self.rare, self.times = usual, rare, times

    def draw(self, source: random.Random, pools: Pools) -> Any:
        return (self.rare if source.random() * (self.times + 1) < 1 else self.usual).draw(source, pools)

    def strategy(self, bundles: dict[str, Any]) -> SearchStrategy[Any]:
        from hypothesis import strategies as st
        usual, rare = self.usual.strategy(bundles), self.rare.strategy(bundles)
        return st.integers(0, self.times).flatmap(lambda n: rare if n == self.times else usual)


class Tuples(Draw):
    def __init__(self, parts: Sequence[Draw]) -> None:
        self.parts = parts

    def draw(self, source: random.Random, pools: Pools) -> Any:
        return tuple(part.draw(source, pools) for part in self.parts)

    def strategy(self, bundles: dict[str, Any]) -> SearchStrategy[Any]:
        from hypothesis import strategies as st
        return st.tuples(*(part.strategy(bundles) for part in self.parts))


class Lists(Draw):
    def __init__(self, part: Draw, least: int, most: int) -> None:
        self.part, self.least, self.most = part, least, most

    def draw(self, source: random.Random, pools: Pools) -> Any:
        return [self.part.draw(source, pools) for _ in range(source.randint(self.least, self.most))]

    def strategy(self, bundles: dict[str, Any]) -> SearchStrategy[Any]:
        from hypothesis import strategies as st
        return st.lists(self.part.strategy(bundles), min_size=self.least, max_size=self.most)


class Bytes(Draw):
    def __init__(self, most: int) -> None:
        self.most = most

    def draw(self, source: random.Random, pools: Pools) -> Any:
        return source.randbytes(source.randint(0, self.most))

    def strategy(self, bundles: dict[str, Any]) -> SearchStrategy[Any]:
        from hypothesis import strategies as st
        return st.binary(max_size=self.most)


class Mapped(Draw):
    def __init__(self, base: Draw, function: Callable[[Any], Any]) -> None:
        self.base, self.function = base, function

    def draw(self, source: random.Random, pools: Pools) -> Any:
        return self.function(self.base.draw(source, pools))

    def strategy(self, bundles: dict[str, Any]) -> SearchStrategy[Any]:
        return self.base.strategy(bundles).map(self.function)


class FromBundle(Draw):
    """One of the objects that the program has made; the later ones more often."""

    def __init__(self, name: str) -> None:
        self.name = name

    def draw(self, source: random.Random, pools: Pools) -> Any:
        pool = pools[self.name]
        return pool[max(int(source.random() * len(pool)), int(source.random() * len(pool)))]

    def strategy(self, bundles: dict[str, Any]) -> SearchStrategy[Any]:
        strategy: SearchStrategy[Any] = bundles[self.name]
        return strategy


# --- under the names of hypothesis.strategies

def sampled_from(values: Sequence[Any]) -> Draw:
    return Sampled(values)


def just(value: Any) -> Draw:
    return Sampled((value,))


def none() -> Draw:
    return Sampled((None,))


def booleans() -> Draw:
    return Sampled((False, True))


def integers(least: int, most: int) -> Draw:
    return Sampled(range(least, most + 1))


def one_of(*parts: Draw) -> Draw:
    return OneOf(parts)


def tuples(*parts: Draw) -> Draw:
    return Tuples(parts)


def lists(part: Draw, *, min_size: int = 0, max_size: int) -> Draw:
    return Lists(part, min_size, max_size)


def binary(*, max_size: int) -> Draw:
    return Bytes(max_size)


def mostly(usual: Draw, rare: Draw, times: int = 14) -> Draw:
    return Mostly(usual, rare, times)
