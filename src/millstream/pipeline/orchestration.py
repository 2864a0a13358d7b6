"""Connectors that start after others: labels and `start_after` (connectors.md §4.5).

Whenever an input becomes finished (end of input, nothing buffered), every endpoint with a condition is looked at: if
no unfinished endpoint carries any of its labels, its condition fires, once: the user's pause flag is cleared. A pause
given before that is overridden, one given later stays (§16-D2). A label that nobody carries is satisfied, but only
looked at when something finishes (§16-D3). A failed connector never finishes, so its dependents do not start (§16-D23).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from millstream.errors import config_error
from millstream.pipeline.input_endpoint import InputEndpoint


def fire_conditions(endpoints: Sequence[InputEndpoint], log: Callable[[str], None]) -> None:
    """Start whatever may start now that some endpoint has finished. Under the control lock; O(endpoints)."""
    blocked = {label for endpoint in endpoints if not endpoint.finished for label in endpoint.config.labels}
    for endpoint in endpoints:
        labels = endpoint.config.start_after
        if labels is None or endpoint.start_condition_fired or not blocked.isdisjoint(labels):
            continue
        endpoint.start_condition_fired = True
        if endpoint.set_paused(False):
            log(f"starting connector '{endpoint.name}': all connectors labelled {_quoted(labels)} have finished")


def warn_about_failure(failed: InputEndpoint, endpoints: Iterable[InputEndpoint], log: Callable[[str], None]) -> None:
    """Say which connectors will not start because `failed` never finishes. Under the control lock."""
    for endpoint in endpoints:
        waits_for = set(endpoint.config.start_after or ()).intersection(failed.config.labels)
        if waits_for and not endpoint.start_condition_fired:
            log(
                f"connector '{endpoint.name}' will not start by itself: it waits for label "
                f"{_quoted(sorted(waits_for))} of the failed connector '{failed.name}'"
            )


def check_conditions(endpoints: Sequence[InputEndpoint], log: Callable[[str], None]) -> None:
    """Before anything starts: reject cycles, warn about labels that nobody carries."""
    carried = {label for endpoint in endpoints for label in endpoint.config.labels}
    for endpoint in endpoints:
        unknown = [label for label in endpoint.config.start_after or () if label not in carried]
        if unknown:
            log(f"connector '{endpoint.name}': no connector carries the 'start_after' label {_quoted(unknown)}")
    cycle = _find_cycle(endpoints)
    if cycle is not None:
        first, *others = cycle
        chain = f"endpoint '{first[0]}' with label '{first[1]}' waits for " + ", which waits for ".join(
            f"endpoint '{name}' with label '{label}'" for name, label in [*others, first]
        )
        raise config_error(
            "CyclicDependency",
            f"cyclic 'start_after' dependency detected: {chain}",
            cycle=[list(link) for link in cycle],
        )


def _find_cycle(endpoints: Sequence[InputEndpoint]) -> list[tuple[str, str]] | None:
    """A cycle in the graph label -> label that an endpoint carrying the first waits for, as (endpoint, label)."""
    edges: dict[str, list[tuple[str, str]]] = {}
    for endpoint in endpoints:
        for label in endpoint.config.labels:
            for target in endpoint.config.start_after or ():
                edges.setdefault(label, []).append((endpoint.name, target))
    done: set[str] = set()
    for start in edges:
        path: list[tuple[str, str]] = []
        on_path: dict[str, int] = {}
        # Depth first with an explicit stack: label, and the edges still to follow from it.
        stack = [(start, iter(edges.get(start, ())))] if start not in done else []
        on_path[start] = 0
        while stack:
            label, remaining = stack[-1]
            edge = next(remaining, None)
            if edge is None:
                stack.pop()
                done.add(label)
                on_path.pop(label, None)
                if path:
                    path.pop()
                continue
            name, target = edge
            if target in on_path:
                return [*path[on_path[target] :], (name, label)]
            if target in done:
                continue
            path.append((name, label))
            on_path[target] = len(path)
            stack.append((target, iter(edges.get(target, ()))))
    return None


def _quoted(labels: Iterable[str]) -> str:
    return ", ".join(f"'{label}'" for label in labels)
