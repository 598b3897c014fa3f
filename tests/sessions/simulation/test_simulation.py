"""The sharded store keeps its guarantee in simulated time, whatever happens within that.

A short form of ``make simulate``.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.sessions.simulation import exploring, planted
from tests.sessions.simulation.exploring import Run, Scene, random_run, scenes
from tests.sessions.simulation.stand_ins import simulated

RUNS = 30
EVERY = 97  # of how many scenes one is gone through
MOST_WAYS = 50  # through a scene; `make simulate` goes all of them

SET_X, SET_Y = ("save", 0, "s", {"x": "1"}), ("save", 1, "s", {"y": "1"})
SET_X_AGAIN = ("save", 1, "s", {"x": "2"})
CUT = ("cut", "b", 0)
HIDDEN_IN = {
    planted.newest_wins: Scene([SET_X, CUT, SET_Y]),
    planted.no_marks: Scene([SET_X, CUT]),
    planted.no_tombstones: Scene([("kill", "b"), ("delete", 0, "s")], [("back", "b", "kept")]),
    planted.late_writes_win: Scene([SET_X, ("lag", "b", 0, 3), ("quiet",), SET_X_AGAIN]),
    planted.new_marks_are_forgotten: Scene(
        [SET_X, CUT, ("quiet",), ("after", 0.019), ("save", 0, "s", {"x": "2"}), CUT]
    ),
}


@pytest.fixture(autouse=True)
def patch() -> Iterator[pytest.MonkeyPatch]:
    with simulated() as patch:
        yield patch


def first_failure(scene: Scene) -> str | None:
    return next((wrong for _, wrong in scene.ways() if wrong), None)


def test_the_guarantee_holds_in_random_runs() -> None:
    for seed in range(RUNS):
        run = random_run(seed)
        if run.failure():
            shrunk = run.shrunk()
            pytest.fail(f"{run}\n{shrunk}\n{shrunk.failure()}")


def test_the_guarantee_holds_in_every_order_of_small_scenes() -> None:
    for scene in list(scenes())[::EVERY]:
        for _, (way, wrong) in zip(range(MOST_WAYS), scene.ways(), strict=False):
            assert wrong is None, f"{scene}.failure({way}): {wrong}"


@pytest.mark.parametrize("fault", planted.FAULTS)
def test_a_planted_fault_is_found_in_a_scene_that_is_well_without_it(
    patch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    scene = HIDDEN_IN[fault]
    assert first_failure(scene) is None
    fault(patch)
    assert "Broken" in (first_failure(scene) or "")


def test_a_failing_run_is_the_same_each_time_and_is_shrunk(patch: pytest.MonkeyPatch) -> None:
    planted.no_marks(patch)
    patch.setattr(exploring, "TRIES", 2)
    needed = [("create", 0, "s", None), ("fill", "b"), ("save", 0, "s", {"x": "1"})]
    after = [("make_room", "b"), ("settle",), ("inspect",)]
    run = Run([("list_user", 0, "u"), *needed, *after], seed=0)
    assert "Broken" in (run.failure() or "")
    assert run.failure() == run.failure()
    shrunk = run.shrunk()
    assert "Broken" in (shrunk.failure() or "")
    assert len(shrunk.steps) < len(run.steps)
