"""What each role may do: the least role of every operation (api.md §1.2, §4.6).

An operation is a method and the path of its route, with `{}` for each parameter, so that the table does not depend on
what a route calls its parameters. What is not in the table is open to nobody.
"""

from __future__ import annotations

import re
from typing import Literal

Role = Literal["read", "write", "admin", "owner"]
RANKS: dict[Role, int] = {"read": 0, "write": 1, "admin": 2, "owner": 3}

_P = "/v0/pipelines/{}"
_INPUT = _P + "/tables/{}/connectors/{}"
_OUTPUT = _P + "/views/{}/connectors/{}"

_OPERATIONS: dict[Role, dict[str, tuple[str, ...]]] = {
    "read": {
        "GET": (
            "/v0/config", "/v0/config/demos", "/v0/config/session",
            "/v0/cluster_healthz", "/v0/cluster/events", "/v0/cluster/events/{}", "/v0/metrics",
            "/v0/pipelines", _P, _P + "/dataflow_graph", _P + "/completion_status", _P + "/stats", _P + "/metrics",
            _P + "/stats/errors",
            _P + "/time_series", _P + "/time_series_stream", _P + "/logs", _P + "/events", _P + "/events/{}",
            _P + "/checkpoint_status", _P + "/checkpoints", _P + "/checkpoints/remote", _P + "/checkpoint/sync_status",
            _P + "/circuit_profile", _P + "/circuit_json_profile", _P + "/heap_profile", _P + "/samply_profile",
            _P + "/support_bundle", _INPUT + "/stats", _OUTPUT + "/stats",
        ),
        "POST": (_P + "/samply_profile",),
    },
    "write": {
        "GET": ("/v0/api_keys", "/v0/api_keys/{}", _P + "/query", _INPUT + "/completion_token"),
        "POST": (
            "/v0/api_keys", "/v0/validate_program", "/v0/pipelines",
            _P + "/start", _P + "/stop", _P + "/pause", _P + "/resume", _P + "/clear", _P + "/dismiss_error",
            _P + "/activate", _P + "/approve", _P + "/update_runtime", _P + "/diff", _P + "/testing",
            _P + "/ingress/{}", _P + "/egress/{}", _P + "/start_transaction", _P + "/commit_transaction",
            _P + "/checkpoint", _P + "/checkpoint/sync", _P + "/clock/advance", _P + "/start_compaction",
            _P + "/rebalance", _INPUT + "/{}", _OUTPUT + "/command", _OUTPUT + "/start", _OUTPUT + "/pause",
        ),
        "PUT": (_P,),
        "PATCH": (_P,),
        "DELETE": ("/v0/api_keys/{}", _P),
    },
    "admin": {
        "GET": ("/v0/oidc_trust", "/v0/oidc_trust/{}", "/v0/tenant/users"),
        "POST": ("/v0/oidc_trust", "/v0/tenant/users"),
        "PUT": ("/v0/tenant/users/{}",),
        "DELETE": ("/v0/oidc_trust/{}", "/v0/tenant/users/{}"),
    },
    "owner": {
        "GET": ("/v0/config/owners", "/v0/tenants", "/v0/tenants/{}"),
        "POST": ("/v0/tenants",),
        "PATCH": ("/v0/tenants/{}",),
        "DELETE": ("/v0/tenants/{}",),
    },
}  # fmt: skip

LEAST_ROLE: dict[tuple[str, str], Role] = {
    (method, path): role for role, methods in _OPERATIONS.items() for method, paths in methods.items() for path in paths
}


def least_role(method: str, route_path: str) -> Role | None:
    """The role that an operation asks for; None if nobody may use it. `route_path`: `/v0/pipelines/{pipeline_name}`."""
    return LEAST_ROLE.get((method, re.sub(r"\{[^}]*\}", "{}", route_path)))


def allows(actual: Role, required: Role) -> bool:
    """Whether a role includes another one."""
    return RANKS[actual] >= RANKS[required]
