"""The examples of docs/udf.md run."""

from __future__ import annotations

import re
from pathlib import Path

from millstream import Pipeline

PAGE = Path(__file__).parents[2] / "docs" / "udf.md"
VIEWS = """
CREATE TABLE numbers (g INT, x INT, weight INT);
CREATE VIEW means AS SELECT g, weighted_mean(x, weight) AS mean, median(x) AS middle, spread(x) AS spread
FROM numbers GROUP BY g;
CREATE VIEW longest_words AS SELECT longest(word) AS word FROM words;
"""


def blocks(language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL))


def test_the_examples_run() -> None:
    code = "import numpy as np\nimport pyarrow as pa\n" + blocks("python")
    with Pipeline(blocks("sql") + VIEWS, udf=code) as pipeline:
        pipeline.push("words", [{"word": "a", "n": 10}, {"word": "bcd", "n": 0}])
        pipeline.push("numbers", [{"g": g, "x": x, "weight": x + 1} for g in (1, 2) for x in range(4 * g)])
        pipeline.step()
        words = sorted(tuple(row.values()) for row in pipeline.snapshot("v", "dicts"))
        assert words == [("A", 55), ("BCD", 0)]
        assert pipeline.snapshot("longest_words", "dicts") == [{"word": "bcd"}]
        means = sorted(tuple(row.values()) for row in pipeline.snapshot("means", "dicts"))
        assert means == [(1, 2.0, 1.5, 3.0), (2, 168 / 36, 3.5, 7.0)]
