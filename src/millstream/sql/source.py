"""The program text with its line structure: offsets to positions, and the snippets that accompany messages."""

from __future__ import annotations

from bisect import bisect_right

from millstream.plan.program import Span


class Source:
    """A program text. Offsets count code points from 0; lines and columns count from 1, ranges include their end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character."""
        line = bisect_right(self._starts, offset) - 1
        return line + 1, offset - self._starts[line] + 1

    def span(self, start: int, end: int) -> Span:
        """The range of the characters `start` .. `end`, both included."""
        return Span(*self.position(start), *self.position(end))

    def text_of(self, span: Span) -> str:
        """The characters of a range."""
        start = self._starts[span.start_line - 1] + span.start_column - 1
        return self.text[start : self._starts[span.end_line - 1] + span.end_column]

    def end_span(self) -> Span:
        """The last character that is not white space."""
        offset = max(len(self.text.rstrip()) - 1, 0)
        return self.span(offset, offset)

    def snippet(self, span: Span) -> str:
        """The erroneous line with the one before it and carets under the range; the first and last line of a longer
        range with `...` between. Empty when there is no position."""
        if not 1 <= span.start_line <= len(self.lines):
            return ""
        first, last = span.start_line, min(span.end_line, len(self.lines))
        shown = []
        if first > 1:
            shown.append(self._numbered(first - 1))
        shown.append(self._numbered(first))
        if last > first:
            if last > first + 1:
                shown.append("      ...")
            shown.append(self._numbered(last))
        else:
            width = max(span.end_column - span.start_column + 1, 1)
            shown.append(" " * (span.start_column - 1 + 6) + "^" * width)
        return "\n".join(shown) + "\n"

    def _numbered(self, line: int) -> str:
        return f"{line:5}|{self.lines[line - 1]}"
