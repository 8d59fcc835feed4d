"""What a seed draws for a lab: names, subnets, ports, the same on any machine."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["Draw"]

T = TypeVar("T")
_PLACES = (
    "amber", "birch", "cedar", "coral", "delta", "ember", "fjord", "grove", "harbor", "iris",
    "jasper", "kelp", "larch", "maple", "north", "ocean", "pearl", "quartz", "river", "slate",
    "tulip", "umber", "violet", "willow", "zephyr",
)  # fmt: skip


class Draw:
    """Draws things for one lab and one learner; no two subnets, ports or words are the same.

    seed: any text. The same seed gives the same draws in the same order, on any machine:
    ``random.seed`` takes all bits of a text, by SHA-512 (Python's documentation of ``random``).
    """

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._taken: set[object] = set()

    def choice(self, of: Sequence[T]) -> T:
        """One of them; it may be drawn again."""
        return self._random.choice(of)

    def sample(self, of: Sequence[T], count: int) -> list[T]:
        """That many different ones of them, in any order."""
        return self._random.sample(of, count)

    def word(self) -> str:
        """A name of five or six letters."""
        return self._new(lambda: self.choice(_PLACES))

    def port(self) -> int:
        """A TCP port from 8000 to 8999."""
        return self._new(lambda: self._random.randint(8000, 8999))

    def subnet(self) -> ipaddress.IPv4Network:
        """A /24 that neither the hosts' LAN nor any pool of Docker's has.

        Of 10.0.0.0/8 Swarm takes the lowest for overlays (Docker: docker swarm init,
        --default-addr-pool), so it begins at 10.20.0.0.
        """
        text = self._new(
            lambda: f"10.{self._random.randint(20, 199)}.{self._random.randint(0, 255)}.0/24"
        )
        return ipaddress.IPv4Network(text)

    def host_number(self) -> int:
        """The last number of an address in a /24 that no gateway and no first container has."""
        return self._new(lambda: self._random.randint(20, 199))

    def _new(self, draw: Callable[[], T]) -> T:
        while (found := draw()) in self._taken:
            pass
        self._taken.add(found)
        return found
