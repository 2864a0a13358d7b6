"""The one error that users see: the API's error object (api.md §3).

Every room raises `MillstreamError` for what a user did or met; the HTTP layers serialise it, the CLI prints its
message. Anything else that escapes is a broken invariant of ours.
"""

from __future__ import annotations

from typing import Any


class MillstreamError(Exception):
    """An error with the API's shape.

    `error_code` is the stable identifier that clients match on, `details` its named fields (None: no fields),
    `status` the HTTP status that carries it.
    """

    def __init__(self, error_code: str, message: str, details: Any = None, status: int = 400) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.message = message
        self.details = details
        self.status = status

    def to_json(self) -> dict[str, Any]:
        """`{"message", "error_code", "details"}`."""
        return {"message": self.message, "error_code": self.error_code, "details": self.details}


class EvaluationError(MillstreamError):
    """A run-time failure of an expression or aggregate (overflow, failed cast, ...): fatal for a pipeline."""

    def __init__(self, message: str) -> None:
        super().__init__(
            "RuntimeError.WorkerPanic", message, {"panic_info": [[0, "Foreground", {"message": message}]]}, 500
        )


def config_error(code: str, message: str, **details: Any) -> MillstreamError:
    """A connector or pipeline configuration problem found at start: `ConfigError.<code>` (connectors.md §1.6)."""
    status = 404 if code in ("UnknownInputStream", "UnknownOutputStream") else 400
    return MillstreamError(f"ConfigError.{code}", message, details or None, status)
