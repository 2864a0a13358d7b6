"""The database's tables, and how a database of an older version becomes one of this version.

The version is kept in the database (`PRAGMA user_version`). `MIGRATIONS[n]` brings version n to n + 1; a step that has
been released is never changed, later changes of the tables are later steps.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import JSON, Boolean, Column, Connection, Engine, Index, Integer, MetaData, Table, Text

from millstream.errors import MillstreamError

metadata = MetaData()


def _json(name: str) -> Column[object]:
    return Column(name, JSON(none_as_null=True))


#: One column for each field of `models.Pipeline`, under its name.
pipelines = Table(
    "pipelines",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Text, nullable=False),
    Column("platform_version", Text, nullable=False),
    _json("runtime_config"),
    Column("program_code", Text, nullable=False),
    _json("program_config"),
    Column("program_status_since", Text, nullable=False),
    Column("resources_status_since", Text, nullable=False),
    Column("resources_desired_status_since", Text, nullable=False),
    Column("description", Text, nullable=False),
    _json("tags"),
    Column("udf_rust", Text, nullable=False),
    Column("udf_toml", Text, nullable=False),
    Column("udf_python", Text, nullable=False, server_default=""),
    Column("version", Integer, nullable=False),
    Column("program_version", Integer, nullable=False),
    Column("refresh_version", Integer, nullable=False),
    Column("program_status", Text, nullable=False),
    _json("program_error"),
    _json("program_info"),
    Column("storage_status", Text, nullable=False),
    _json("storage_status_details"),
    Column("deployment_id", Text),
    Column("deployment_initial", Text),
    _json("deployment_error"),
    Column("bootstrap_policy", Text),
    Column("silent_bootstrap", Boolean, nullable=False),
    Column("concurrent_bootstrap", Boolean, nullable=False),
    Column("resources_status", Text, nullable=False),
    _json("resources_status_details"),
    Column("resources_desired_status", Text, nullable=False),
    Column("runtime_status", Text),
    Column("runtime_status_since", Text),
    _json("runtime_status_details"),
    Column("runtime_desired_status", Text),
    Column("runtime_desired_status_since", Text),
    _json("process"),
)

#: What `models.pipeline_event` gives; event identifiers are time-ordered.
pipeline_events = Table(
    "pipeline_events",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("pipeline_id", Text, nullable=False),
    _json("event"),
)
Index("pipeline_events_by_pipeline", pipeline_events.c.pipeline_id, pipeline_events.c.event_id)

#: Changes of the health of the server's services; identifiers are time-ordered.
cluster_events = Table(
    "cluster_events", metadata, Column("id", Text, primary_key=True), Column("recorded_at", Text), _json("event")
)

#: API keys: only the digest of a key is stored.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
)


def _create(connection: Connection) -> None:
    metadata.create_all(connection)


def _add_udf_python(connection: Connection) -> None:
    columns = {row.name for row in connection.exec_driver_sql("PRAGMA table_info(pipelines)")}
    if "udf_python" not in columns:  # `_create` makes tables as they are now
        connection.exec_driver_sql("ALTER TABLE pipelines ADD COLUMN udf_python TEXT NOT NULL DEFAULT ''")


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_create, _add_udf_python)


def migrate(engine: Engine) -> None:
    """Bring the database to this version, each step in a transaction of its own.

    Raises `IncompatibleDataDirectory` if a newer version has written it.
    """
    with engine.connect() as connection:
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > len(MIGRATIONS):
        raise MillstreamError(
            "IncompatibleDataDirectory",
            f"the data directory was written by a newer version of millstream (its format is {version}, this version "
            f"knows formats up to {len(MIGRATIONS)}): install that version, or choose another --data-dir",
            {"format": version, "maximum": len(MIGRATIONS)},
            500,
        )
    for number, step in enumerate(MIGRATIONS[version:], version + 1):
        with engine.begin() as connection:
            step(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {number}")
