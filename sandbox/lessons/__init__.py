"""Functions that only one lesson uses; its notebook imports them from here."""

from sandbox.lessons.advice import choose_driver
from sandbox.lessons.density import density
from sandbox.lessons.drivers import compare_drivers
from sandbox.lessons.shop import break_shop, calls, decision_tree, shop

__all__ = [
    "break_shop",
    "calls",
    "choose_driver",
    "compare_drivers",
    "decision_tree",
    "density",
    "shop",
]
