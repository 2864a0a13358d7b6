"""What this server says of itself: versions, edition, build (api.md §24)."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

from millstream import __version__

API_VERSION = "0.369.0"
"""The version of the API that is spoken: clients compare it with their own. Also the platform version of pipelines."""

EDITION = "Open source"


def configuration(unstable_features: Sequence[str] = ()) -> dict[str, Any]:
    """The answer of `GET /v0/config`."""
    return {
        "edition": EDITION,
        "version": API_VERSION,
        "revision": f"millstream {__version__}",
        "runtime_revision": f"millstream {__version__}",
        "unstable_features": ",".join(unstable_features) or None,
        "changelog_url": "",
        "license_validity": None,
        "update_info": None,
        "build_info": {
            "build_timestamp": "",
            "build_cpu": platform.machine(),
            "build_os": platform.system(),
            "cargo_dependencies": "",
            "cargo_features": "",
            "cargo_debug": "false",
            "cargo_opt_level": "",
            "cargo_target_triple": "",
            "rustc_version": "",
        },
        "build_source": "source",
        "posthog": "",
        "conceptualhq": "",
        "product_fruits": "",
    }
