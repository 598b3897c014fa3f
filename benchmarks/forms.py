"""The CPU time of a registration form of six fields, next to WTForms and Django.

Made of what was sent, and validated: valid, and with an error in every field; and drawn with these
errors, by Django as it draws a form in `div`s, and for WTForms by the least Python that draws
label, field, description and errors, with no template. Forms in turn, in one process. Django
translates nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median

from benchmarks._figures import Figure, spread
from benchmarks._registration import (
    INVALID,
    VALID,
    Django,
    Ours,
    WTForms,
    as_arguments,
    as_sent,
    invalid,
)

NEXT_TO = ("WTForms", "Django", "email-validator")
ROUNDS = 10  # of each library, one after the other
FORMS = 200  # in each round

Work = Callable[[], object]
TARGETS = {  # of WTForms, of Django
    "valid": (0.25, 0.3),
    "invalid": (0.25, 0.3),
    "rendered with errors": (0.2, 0.06),
}


def measure(quick: bool = False) -> list[Figure]:
    """Return what our form costs, and its ratio to each peer's."""
    rounds, forms = (2, 2) if quick else (ROUNDS, FORMS)
    figures = []
    for what, (wtforms_target, django_target) in TARGETS.items():
        costs = asyncio.run(compare(*works(what), rounds, forms))
        ours = [each[0] for each in costs]
        figures.append(Figure(what, median(ours), "us", spread=spread(ours)))
        for peer, name, target in ((1, "WTForms", wtforms_target), (2, "Django", django_target)):
            ratios = [each[0] / each[peer] for each in costs]
            title, unit = f"{what}, ratio to {name}", f"of {name}"
            figures.append(Figure(title, median(ratios), unit, target, spread(ratios)))
    return figures


def works(what: str) -> tuple[Callable[[], Awaitable[object]], Work, Work]:
    """Return what each of the three does for one form."""
    sent = VALID if what == "valid" else INVALID
    ours, arguments = as_sent(sent), as_arguments(sent)
    if what != "rendered with errors":
        return (
            lambda: Ours(ours).is_valid(),
            lambda: WTForms(arguments).validate(),
            lambda: Django(sent).is_valid(),
        )
    drawn, theirs, djangos = Ours(ours), invalid(WTForms(arguments)), invalid(Django(sent))

    async def draw() -> str:
        await drawn.is_valid()
        return drawn.render()

    return draw, theirs.to_html, djangos.as_div


async def compare(
    ours: Callable[[], Awaitable[object]], wtforms: Work, django: Work, rounds: int, forms: int
) -> list[tuple[float, float, float]]:
    """Return the microseconds of a form in each round."""
    costs = []
    for _ in range(rounds + 1):
        start = time.process_time_ns()
        for _ in range(forms):
            await ours()
        spent = [time.process_time_ns() - start]
        for work in (wtforms, django):
            start = time.process_time_ns()
            for _ in range(forms):
                work()
            spent.append(time.process_time_ns() - start)
        first, second, third = (each / forms / 1000 for each in spent)
        costs.append((first, second, third))
    return costs[1:]  # the first round fills caches
