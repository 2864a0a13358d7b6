"""Laws of the controller, on real connectors: neither the cutting into steps, nor starting, pausing and resuming, nor
their order changes what the views finally hold.

The sources: files with rows of a table without key (two connectors, any interleaving), a file of upserts into a table
with a key (their order matters), and a generator. The oracle is computed directly from what the sources hold.
"""

from __future__ import annotations

import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.pipeline.controller import Controller
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.plan.program import Program
from tests.pipeline.support import (
    copy_view,
    count_view,
    file_input,
    ids,
    ndjson,
    program,
    running,
    table,
    totals,
    wait,
)

CONNECTORS = ("t.a", "t.b", "t.gen", "k.u")
KEYS = 20


@dataclass(frozen=True)
class Shape:
    """Sizes of one run: rows per source, and the limits of all connectors."""

    a: int
    b: int
    generated: int
    upserts: int
    max_batch_size: int
    max_queued_records: int
    buffer_size_bytes: int

    def options(self, path: Path, **more: Any) -> dict[str, Any]:
        source = file_input(
            path, max_batch_size=self.max_batch_size, max_queued_records=self.max_queued_records, **more
        )
        source["transport"]["config"]["buffer_size_bytes"] = self.buffer_size_bytes
        return source

    def program(self, directory: Path, paused: Sequence[bool]) -> Program:
        (directory / "a").write_bytes(ndjson(0, self.a))
        (directory / "b").write_bytes(ndjson(1_000_000, self.b))
        (directory / "u").write_bytes(
            b"".join(b'{"id":%d,"s":"%d"}\n' % (i * 7 % KEYS, i) for i in range(self.upserts))
        )
        plan = [{"limit": self.generated, "fields": {"id": {"range": [2_000_000, 3_000_000]}}}]
        generator = {
            "transport": {"name": "datagen", "config": {"plan": plan, "seed": 1}},
            "max_batch_size": self.max_batch_size,
            "max_queued_records": self.max_queued_records,
            "paused": paused[2],
        }
        bag = {
            "a": self.options(directory / "a", paused=paused[0]),
            "b": self.options(directory / "b", paused=paused[1]),
            "gen": generator,
        }
        keyed = {"u": self.options(directory / "u", paused=paused[3])}
        return program(
            table("t", bag), table("k", keyed, primary_key=(0,)), copy_view(), count_view(), copy_view("w", "k")
        )

    def check(self, controller: Controller) -> None:
        """The views hold exactly what the sources held."""
        sources = (range(self.a), range(1_000_000, 1_000_000 + self.b), range(2_000_000, 2_000_000 + self.generated))
        assert ids(controller) == Counter(i for source in sources for i in source)
        count = self.a + self.b + self.generated
        assert controller.snapshot().table("n").column(0).to_pylist() == [count]
        latest = {i * 7 % KEYS: str(i) for i in range(self.upserts)}
        assert {row["id"]: row["s"] for row in controller.snapshot().table("w").to_pylist()} == latest
        found = totals(controller)
        assert found["total_input_records"] == found["total_processed_records"] == count + self.upserts
        assert found["buffered_input_bytes"] == 0


shapes = st.builds(
    Shape,
    a=st.integers(0, 300),
    b=st.integers(0, 300),
    generated=st.integers(0, 300),
    upserts=st.integers(0, 300),
    max_batch_size=st.sampled_from([1, 3, 50, 100_000]),
    max_queued_records=st.sampled_from([1, 7, 100, 100_000]),
    buffer_size_bytes=st.sampled_from([1, 60, 1000, 1 << 20]).filter(lambda size: size > 1) | st.just(17),
)


def run_to_end(controller: Controller) -> None:
    """Whatever is paused is started; wait until all has been read and delivered."""
    controller.resume()
    for name in CONNECTORS:
        controller.start_connector(name)
    wait(controller, lambda: totals(controller)["pipeline_complete"])


Action = Callable[[Controller], None]

actions: st.SearchStrategy[Action] = st.one_of(
    st.sampled_from(CONNECTORS).map(lambda name: lambda controller: controller.start_connector(name)),
    st.sampled_from(CONNECTORS).map(lambda name: lambda controller: controller.pause_connector(name)),
    st.just(lambda controller: controller.pause()),
    st.just(lambda controller: controller.resume()),
    st.just(lambda controller: controller.insert("t", []) if controller.state == "Running" else None),
    st.just(lambda controller: controller.step()),
)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=shapes,
    paused=st.lists(st.booleans(), min_size=4, max_size=4),
    initial=st.sampled_from(["running", "paused"]),
    script=st.lists(actions, max_size=30),
)
def test_steps_pauses_and_order_do_not_change_the_result(
    shape: Shape, paused: list[bool], initial: str, script: list[Action]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        relations = shape.program(Path(directory), paused)
        with running(relations, RuntimeConfig(workers=1), initial=initial) as controller:
            for action in script:
                action(controller)
            run_to_end(controller)
            shape.check(controller)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(shape=shapes, order=st.permutations(CONNECTORS))
def test_connectors_may_be_read_one_after_the_other_in_any_order(shape: Shape, order: list[str]) -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        running(shape.program(Path(directory), [True] * 4)) as controller,
    ):
        for name in order:
            controller.start_connector(name)
            wait(controller, lambda name=name: controller.input_stats(name)["metrics"]["end_of_input"])  # type: ignore[misc]  # a default binds the loop's value
            controller.pause_connector(name)
        wait(controller, lambda: totals(controller)["pipeline_complete"])
        shape.check(controller)


def torture(shape: Shape, seed: int, threads: int, directory: Path) -> None:
    """Threads start and pause connectors and the pipeline at random while data flows; then everything must be right."""
    with running(shape.program(directory, [False] * 4)) as controller:
        stop = threading.Event()
        problems: list[BaseException] = []

        def toggle(number: int) -> None:
            rng = random.Random(f"{seed} {number}")
            try:
                while not stop.is_set():
                    name = rng.choice(CONNECTORS)
                    choice = rng.random()
                    if choice < 0.45:
                        controller.start_connector(name)
                    elif choice < 0.8:
                        controller.pause_connector(name)
                    elif choice < 0.9:
                        controller.resume()
                    elif choice < 0.95:
                        controller.pause()
                    else:
                        found = controller.snapshot_stats()
                        total = found.global_metrics
                        assert total.total_input_records == total.total_processed_records + total.buffered_input_records
                        assert total.total_completed_records <= total.total_processed_records
                    stop.wait(rng.random() / 500)  # gives readers a chance to run in between
            except BaseException as error:  # noqa: BLE001 - reported by the test's thread
                problems.append(error)

        togglers = [threading.Thread(target=toggle, args=(number,)) for number in range(threads)]
        for toggler in togglers:
            toggler.start()
        everything = shape.a + shape.b + shape.generated + shape.upserts
        wait(controller, lambda: problems != [] or totals(controller)["total_input_records"] >= everything // 2)
        stop.set()
        for toggler in togglers:
            toggler.join()
        assert problems == [], f"seed {seed}"
        run_to_end(controller)
        shape.check(controller)


def test_control_under_fire_loses_and_repeats_nothing(tmp_path: Path) -> None:
    torture(Shape(2000, 2000, 2000, 2000, 50, 100, 2000), 1, 4, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_control_under_heavy_fire_loses_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    shape = Shape(20_000, 20_000, 20_000, 20_000, rng.choice((10, 500, 80_000)), rng.choice((1, 100, 5000)), 4000)
    torture(shape, seed, 8, tmp_path)
