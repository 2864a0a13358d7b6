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
        """The lines of a range, numbered. Under a range within one line stand carets, and then the line that follows
        or, where there is none, the line before it stands above. Empty when there is no position."""
        if not 1 <= span.start_line <= len(self.lines):
            return ""
        first, last = span.start_line, min(span.end_line, len(self.lines))
        shown = [self._numbered(line) for line in range(first, last + 1)]
        if first == last:
            width = max(span.end_column - span.start_column + 1, 1)
            shown.append(" " * (span.start_column + 5) + "^" * width)
            if first < self._last_line:
                shown.append(self._numbered(first + 1))
            elif first > 1:
                shown.insert(0, self._numbered(first - 1))
        return "\n".join(shown) + "\n"

    @property
    def _last_line(self) -> int:
        """The number of the last line; a line break at the end of the text begins none."""
        return len(self.lines) - (len(self.lines) > 1 and not self.lines[-1])

    def _numbered(self, line: int) -> str:
        return f"{line:5}|{self.lines[line - 1]}"
