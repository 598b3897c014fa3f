"""The short form: some of the events on one ring, one after the other, under load.

That a shard is killed comes after each of them, and in the end.
"""

import asyncio
from dataclasses import replace

from tests.chaos.events import EVENTS
from tests.chaos.trial import trial

SHORT = {"freeze": 1.5, "return empty": 0.5, "fourth node": 0.0}  # seconds that they last

PATIENT = 1.2  # seconds for which a node may say nothing on a busy machine: two away are too many


def test_no_shard_takes_anything_along() -> None:
    events = [replace(EVENTS[name], hold=hold) for name, hold in SHORT.items()]
    row, said = asyncio.run(
        trial(events, "a", rate=100, browsers=32, idle=100, before=0.5, killed=0.5, timeout=PATIENT)
    )
    assert (row.counts.broken(), row.failure) == ([], ""), "\n".join([*row.counts.notes, said])
