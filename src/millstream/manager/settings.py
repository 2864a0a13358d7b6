"""What the environment of a server says about how it works (api.md §4.1): read and checked once, at its start."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from millstream.errors import MillstreamError

log = logging.getLogger("millstream.settings")

MIN_TIMEOUT_S = 0.1
FEATURES = ("runtime_version", "testing")
"""What `FELDERA_UNSTABLE_FEATURES` may name with effect: `testing` lets tests set the platform version of a pipeline;
`runtime_version` is taken, and has no effect, as nothing is compiled for a version."""

WITHOUT_EFFECT = {
    "FELDERA_HTTP_WORKERS": "one thread serves the API",
    "FELDERA_TELEMETRY": "nothing is reported to anybody",
    "FELDERA_CONCEPTUALHQ": "there are no guided tours",
    "FELDERA_PRODUCT_FRUITS": "there are no guided tours",
}
"""Variables that are accepted, and why they change nothing."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds and counts as named. `support_interval_s` 0: nothing is collected in the background."""

    compilation_timeout_s: float = 300.0
    events_kept: int = 720
    support_interval_s: float = 600.0
    support_kept: int = 3
    unstable_features: tuple[str, ...] = ()


DEFAULTS = Settings()


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises `InvalidSetting` for a value that makes no sense. Logs what has no effect."""
    for name, reason in WITHOUT_EFFECT.items():
        if environment.get(name):
            log.warning("%s has no effect: %s", name, reason)
    features = tuple(
        part.strip() for part in environment.get("FELDERA_UNSTABLE_FEATURES", "").split(",") if part.strip()
    )
    for feature in features:
        if feature not in FEATURES:
            log.warning("FELDERA_UNSTABLE_FEATURES: '%s' has no effect; there are %s", feature, ", ".join(FEATURES))
    return Settings(
        compilation_timeout_s=_number(
            environment, "FELDERA_SQL_COMPILATION_TIMEOUT_SECS", DEFAULTS.compilation_timeout_s, MIN_TIMEOUT_S
        ),
        events_kept=int(
            _number(environment, "FELDERA_PIPELINE_MONITOR_EVENTS_RETENTION", DEFAULTS.events_kept, 1, whole=True)
        ),
        support_interval_s=_number(
            environment, "FELDERA_SUPPORT_DATA_COLLECTION_FREQUENCY", DEFAULTS.support_interval_s, 0
        ),
        support_kept=int(_number(environment, "FELDERA_SUPPORT_DATA_RETENTION", DEFAULTS.support_kept, 1, whole=True)),
        unstable_features=features,
    )


def _number(environment: Mapping[str, str], name: str, default: float, least: float, *, whole: bool = False) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        text = f"{name} is '{text}', but must be a {'whole ' if whole else ''}number, at least {least:g}"
        raise MillstreamError("InvalidSetting", text, {"name": name})
    return value
