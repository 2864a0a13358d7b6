"""Everything that grows while it is used has a bound, or stands here with the reason why it needs none.

The source is searched for queues and caches; growth of plain lists and dictionaries is not found this way.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "millstream"
#: Constructor -> the place of its bound among the arguments, and its name.
BOUNDS = {
    "deque": (1, "maxlen"),
    "Queue": (0, "maxsize"),
    "LifoQueue": (0, "maxsize"),
    "PriorityQueue": (0, "maxsize"),
    "lru_cache": (0, "maxsize"),
    **dict.fromkeys(("SimpleQueue", "OrderedDict", "cache"), None),
}
#: Where a bound is not part of the constructor: what keeps it.
KEPT: dict[str, str] = {
    "circuit/workers.py _threads": "as many as there are numbers of workers in one process, at most 128",
    "connectors/datagen/words.py table": "one entry a word table of the package",
    "connectors/datagen/words.py templates": "one entry a strategy of the package",
    "connectors/nexmark/texts.py _channel_tables": "one entry: it takes no arguments",
    "connectors/nexmark/texts.py _four_digits": "one entry: it takes no arguments",
    "connectors/nexmark/texts.py _random_table": "one entry a column of random text, lengths being constants",
    "manager/compiler.py Compiler": "PROGRAMS_REMEMBERED, at each insertion",
    "manager/demos.py packaged": "one entry: it takes no arguments",
    "manager/logs.py LogBuffer": "MAX_LINES and MAX_BYTES, at each line",
    "manager/openapi.py interface": "one entry: it takes no arguments",
    "manager/process.py _boot_id": "one entry: it takes no arguments",
    "pipeline/completion.py Completion": "MAX_PENDING_STEPS, at each step",
    "pipeline/egress.py ChunkQueue": "EGRESS_MAX_CHUNKS, the writer waits or drops",
    "pipeline/input_endpoint.py InputEndpoint": "max_queued_records and max_queued_bytes; MAX_PENDING_STEPS",
    "pipeline/now.py ProgramClock": "one number a request that moves the clock, until the next step",
    "pipeline/output_endpoint.py OutputEndpoint": "max_queued_records: steps wait, or changes are dropped",
}


def name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def is_bounded(name: str, call: ast.Call) -> bool:
    """Whether a call has a bound that is neither None nor zero."""
    place = BOUNDS[name]
    if place is None:
        return False
    given = [*call.args[place[0] : place[0] + 1], *(k.value for k in call.keywords if k.arg == place[1])]
    return any(not (isinstance(value, ast.Constant) and not value.value) for value in given)


def unbounded(tree: ast.AST, owner: str = "") -> Iterator[str]:
    """The outermost definitions that make queues or caches without bound, once for each."""
    for node in ast.iter_child_nodes(tree):
        inside = owner
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inside = owner or node.name
            bare = (name_of(d) for d in node.decorator_list if not isinstance(d, ast.Call))
            yield from (inside for name in bare if name in BOUNDS)
        if isinstance(node, ast.Call) and name_of(node.func) in BOUNDS and not is_bounded(name_of(node.func), node):
            yield inside
        yield from unbounded(node, inside)


def test_every_queue_and_cache_has_a_bound_or_a_reason() -> None:
    found = {
        f"{path.relative_to(SOURCE).as_posix()} {owner}"
        for path in SOURCE.rglob("*.py")
        for owner in unbounded(ast.parse(path.read_text("utf-8")))
    }
    assert found == set(KEPT)


def test_the_search_finds_what_has_no_bound() -> None:
    source = """
class A:
    def __init__(self):
        self.q = deque()
        self.r = deque([], MAX)
@functools.cache
def b(): ...
@lru_cache(maxsize=None)
def c(): ...
@lru_cache(maxsize=7)
def d(): ...
def e():
    return queue.Queue(), asyncio.Queue(9), SimpleQueue()
def f():
    return queue.Queue(maxsize=0)
"""
    assert list(unbounded(ast.parse(source))) == ["A", "b", "c", "e", "e", "f"]
