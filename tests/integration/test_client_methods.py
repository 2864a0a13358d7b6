"""Every public method of the official client against a real server.

Each test names the methods that it drives; the last one compares that with what the client has. Methods that need
checkpoints, standby or bootstrapping, and those for users of several tenants, get the clear error that they are to get.
"""

from __future__ import annotations

import gzip
import inspect
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feldera import FelderaClient, Pipeline, PipelineBuilder
from feldera.enums import (
    BootstrapPolicy,
    CompletionTokenStatus,
    DeploymentDesiredStatus,
    DeploymentResourcesDesiredStatus,
    DeploymentResourcesStatus,
    DeploymentRuntimeDesiredStatus,
    DeploymentRuntimeStatus,
    PipelineFieldSelector,
    PipelineStatus,
    ProgramStatus,
    StorageStatus,
    TransactionStatus,
)
from feldera.rest.errors import FelderaAPIError
from feldera.rest.pipeline import Pipeline as InnerPipeline
from feldera.runtime_config import RuntimeConfig

from tests.integration.conftest import Server
from tests.integration.rest import Rest, wait_for

PROGRAM = """CREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY, s VARCHAR) WITH ('materialized' = 'true', 'connectors' = '[
  {"name": "c", "paused": true, "transport": {"name": "datagen", "config": {"plan": [{"limit": 5, "rate": 1000}]}}}]');
CREATE MATERIALIZED VIEW v WITH ('connectors' = '[{"name": "o", "transport": {"name": "file_output",
  "config": {"path": "/dev/null"}}, "format": {"name": "csv"}}]') AS SELECT COUNT(*) AS n FROM t;"""
TICKING = "CREATE TABLE t (n BIGINT); CREATE MATERIALIZED VIEW v AS SELECT NOW() AS now FROM t;"

#: Methods that some test drives, by class; `drives` fills it.
DRIVEN: dict[type, set[str]] = {FelderaClient: set(), Pipeline: set(), PipelineBuilder: set()}


def drives(**methods: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Marks a test with the methods of `client`, `pipeline` and `builder` that it drives."""
    classes = {"client": FelderaClient, "pipeline": Pipeline, "builder": PipelineBuilder}
    for kind, names in methods.items():
        for name in names.split():
            assert hasattr(classes[kind], name), name
            DRIVEN[classes[kind]].add(name)
    return lambda test: test


@pytest.fixture(scope="module")
def pipeline(client: FelderaClient, rest: Rest) -> Iterator[Pipeline]:
    """A pipeline that runs, or is paused, whatever the test before has done."""
    made = PipelineBuilder(
        client, "driven", PROGRAM, description="by tests", tags=["a"], runtime_config=RuntimeConfig(workers=2)
    ).create()
    made.start()
    yield made
    rest.remove("driven")


def refused(code: str, call: Callable[[], Any]) -> None:
    """A call raises the API's error of this code."""
    with pytest.raises(FelderaAPIError) as caught:
        call()
    assert caught.value.error_code == code, caught.value


@drives(
    client="get_config localhost pipelines get_pipeline get_runtime_config",
    pipeline="all get refresh id name description tags created_at version program_version program_code program_config "
    "program_error program_info program_status program_status_since platform_version udf_rust udf_toml tables views "
    "runtime_config deployment_config deployment_location deployment_error deployment_desired_status "
    "deployment_resources_desired_status deployment_resources_status deployment_runtime_desired_status "
    "deployment_runtime_status deployment_runtime_status_details deployment_status_since storage_status "
    "storage_status_details bootstrap_policy status errors",
    builder="create",
)
def test_what_a_pipeline_is(client: FelderaClient, pipeline: Pipeline, server: Server) -> None:
    assert client.get_config().version
    assert FelderaClient.localhost(server.port).get_config().edition == client.get_config().edition
    assert "driven" in [p.name for p in client.pipelines()]
    assert "driven" in [p.name for p in Pipeline.all(client)]
    assert client.get_pipeline("driven", PipelineFieldSelector.ALL).program_code == PROGRAM
    assert client.get_runtime_config("driven")["workers"] == 2
    assert Pipeline.get("driven", client).id() == pipeline.id()
    pipeline.refresh(PipelineFieldSelector.ALL)
    assert (pipeline.name, pipeline.description(), pipeline.tags()) == ("driven", "by tests", ["a"])
    assert (pipeline.version(), pipeline.program_version()) == (1, 1)
    assert isinstance(pipeline.created_at(), datetime)
    assert isinstance(pipeline.program_status_since(), datetime)
    assert isinstance(pipeline.deployment_status_since(), datetime)
    assert pipeline.program_code() == PROGRAM
    assert pipeline.program_config()["profile"] == "optimized"
    assert pipeline.program_error()["rust_compilation"]["exit_code"] == 0
    assert set(pipeline.program_info()["input_connectors"]) == {"t.c"}
    assert pipeline.program_status() == ProgramStatus.Success
    assert pipeline.platform_version() == client.get_config().version
    assert (pipeline.udf_rust(), pipeline.udf_toml(), pipeline.errors()) == ("", "", [])
    assert [table.name for table in pipeline.tables()] == ["t"]
    assert "v" in [view.name for view in pipeline.views()]
    assert pipeline.runtime_config().workers == 2
    for of_earlier_versions in (pipeline.deployment_config, pipeline.deployment_location):
        with pytest.raises(AttributeError):  # a field that the API no longer has
            of_earlier_versions()
    assert pipeline.deployment_error() is None
    assert pipeline.deployment_desired_status() == DeploymentDesiredStatus.RUNNING
    assert pipeline.deployment_resources_desired_status() == DeploymentResourcesDesiredStatus.PROVISIONED
    assert pipeline.deployment_resources_status() == DeploymentResourcesStatus.PROVISIONED
    assert pipeline.deployment_runtime_desired_status() == DeploymentRuntimeDesiredStatus.RUNNING
    assert pipeline.deployment_runtime_status() == DeploymentRuntimeStatus.RUNNING
    assert pipeline.deployment_runtime_status_details() == {"connector_stats": {"num_errors": 0}}
    assert (pipeline.storage_status(), pipeline.storage_status_details()) == (
        StorageStatus.INUSE,
        {"checkpoints": []},
    )
    assert pipeline.bootstrap_policy() == BootstrapPolicy.AWAIT_APPROVAL
    assert pipeline.status() == PipelineStatus.RUNNING


@drives(
    client="pause_pipeline resume_pipeline start_pipeline start_pipeline_as_paused stop_pipeline clear_storage "
    "dismiss_error_pipeline delete_pipeline create_pipeline create_or_update_pipeline patch_pipeline",
    pipeline="pause resume start start_paused stop restart clear_storage dismiss_error delete modify "
    "set_runtime_config wait_for_status",
    builder="create_or_replace",
)
def test_the_life_of_a_pipeline(client: FelderaClient) -> None:
    inner = InnerPipeline("living", "CREATE TABLE t (n BIGINT);", "", "", {}, {})
    client.create_pipeline(inner)
    client.create_or_update_pipeline(inner)
    client.patch_pipeline("living", sql="CREATE TABLE u (n BIGINT);", tags=["x"])
    p = Pipeline.get("living", client)
    p.modify(description="d", sql=PROGRAM)
    assert (p.description(), p.tags()) == ("d", ["x"])
    p.set_runtime_config(RuntimeConfig(workers=3))
    assert p.runtime_config().workers == 3
    p.start_paused()
    p.wait_for_status(PipelineStatus.PAUSED, timeout=60)
    p.resume()
    p.pause()
    client.resume_pipeline("living")
    client.pause_pipeline("living")
    assert p.status() == PipelineStatus.PAUSED
    p.stop(force=True)
    p.dismiss_error()
    p.start()
    p.restart()
    client.stop_pipeline("living", force=True)
    client.dismiss_error_pipeline("living")
    client.start_pipeline_as_paused("living")
    client.stop_pipeline("living", force=True)
    client.start_pipeline("living")
    p = PipelineBuilder(client, "living", PROGRAM).create_or_replace()
    assert p.status() == PipelineStatus.STOPPED
    p.start()
    p.stop(force=True)
    p.clear_storage()
    client.clear_storage("living")
    client.delete_pipeline("living")
    client.create_pipeline(inner)
    Pipeline.get("living", client).delete(clear_storage=True)
    refused("UnknownPipelineName", lambda: Pipeline.get("living", client))


@pytest.mark.filterwarnings("ignore:'epoch' date format")  # how the client writes frames
@pytest.mark.filterwarnings("ignore:query_as_json is deprecated")
@drives(
    client="push_to_pipeline completion_status completion_token_processed wait_for_token query_as_arrow "
    "query_as_hash query_as_json query_as_parquet query_as_text",
    pipeline="input_json input_pandas completion_token_status wait_for_token query query_arrow query_arrow_dicts "
    "query_hash query_parquet query_tabular execute",
)
def test_rows_go_in_and_come_out(client: FelderaClient, pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.execute("INSERT INTO t VALUES (100, 'a')", wait=True)
    pipeline.input_json("t", {"n": 101, "s": "b"})
    pipeline.input_pandas("t", pd.DataFrame({"n": [102], "s": ["c"]}))
    token = client.push_to_pipeline("driven", "t", "csv", "103,d\n", wait=False)
    client.wait_for_token("driven", token)
    pipeline.wait_for_token(token)
    assert client.completion_token_processed("driven", token)
    assert client.completion_status("driven", token)["status"] == "complete"
    assert pipeline.completion_token_status(token) == CompletionTokenStatus.COMPLETE
    sql = "SELECT n, s FROM t WHERE n >= 100 ORDER BY n"
    expected = [{"n": 100 + i, "s": s} for i, s in enumerate("abcd")]
    assert list(pipeline.query(sql)) == expected
    assert list(client.query_as_json("driven", sql)) == expected
    assert pa.Table.from_batches(list(pipeline.query_arrow(sql))).to_pylist() == expected
    assert pa.Table.from_batches(list(client.query_as_arrow("driven", sql))).to_pylist() == expected
    assert list(pipeline.query_arrow_dicts(sql)) == expected
    assert pipeline.query_hash(sql) == client.query_as_hash("driven", sql + " DESC")
    pipeline.query_parquet(sql, str(tmp_path / "a.parquet"))
    client.query_as_parquet("driven", sql, str(tmp_path / "b.parquet"))
    for name in ("a.parquet", "b.parquet"):
        assert pq.read_table(tmp_path / name).to_pylist() == expected
    text = "\n".join(pipeline.query_tabular(sql))
    assert "| 100 | a |" in text
    assert text == "\n".join(client.query_as_text("driven", sql))
    with pytest.raises(FelderaAPIError, match="connector_metadata"):
        pipeline.input_json("t", {"n": 1}, connector_metadata={"topic": "x"})


@drives(client="listen_to_pipeline", pipeline="listen foreach_chunk")
def test_changes_are_listened_to(client: FelderaClient, pipeline: Pipeline) -> None:
    handler = pipeline.listen("v")
    chunks: list[pd.DataFrame] = []
    pipeline.foreach_chunk("v", lambda frame, _: chunks.append(frame))
    stream = client.listen_to_pipeline("driven", "v", format="json")
    pipeline.input_json("t", {"n": 200})
    wait_for("a chunk", lambda: any(len(frame) for frame in chunks))
    chunk = next(c for c in stream() if c.get("json_data"))
    assert {next(iter(update)) for update in chunk["json_data"]} == {"insert", "delete"}
    assert set(handler.to_pandas()["insert_delete"]) == {1, -1}


@drives(
    client="pause_input_connector start_input_connector pause_connector resume_connector input_connector_stats "
    "output_connector_stats generate_completion_token pause_output_connector start_output_connector",
    pipeline="pause_input_connector start_input_connector pause_connector resume_connector input_connector_stats "
    "output_connector_stats generate_completion_token wait_for_completion is_complete wait_for_idle "
    "pause_output_connector start_output_connector",
)
def test_connectors(client: FelderaClient, pipeline: Pipeline) -> None:
    assert not pipeline.is_complete()
    for owner, name in ((client, ("driven",)), (pipeline, ())):
        assert pipeline.input_connector_stats("t", "c").paused
        owner.start_input_connector(*name, "t", "c")
        assert not pipeline.input_connector_stats("t", "c").paused
        with pytest.deprecated_call():
            owner.pause_connector(*name, "t", "c")
        with pytest.deprecated_call():
            owner.resume_connector(*name, "t", "c")
        owner.pause_input_connector(*name, "t", "c")
    token = pipeline.generate_completion_token("t", "c")
    assert client.generate_completion_token("driven", "t", "c") == token
    pipeline.start_input_connector("t", "c")
    pipeline.wait_for_completion()
    pipeline.wait_for_idle(idle_interval_s=0.3, poll_interval_s=0.1)
    assert pipeline.is_complete()
    assert client.input_connector_stats("driven", "t", "c")["metrics"]["total_records"] == 5
    assert pipeline.output_connector_stats("v", "o").metrics.num_encode_errors == 0
    assert client.output_connector_stats("driven", "v", "o")["endpoint_name"] == "v.o"
    # Output connectors are not paused on their own.
    for call in (client.pause_output_connector, client.start_output_connector):
        refused("NotSupported", lambda call=call: call("driven", "v", "o"))
    for call in (pipeline.pause_output_connector, pipeline.start_output_connector):
        refused("NotSupported", lambda call=call: call("v", "o"))


@drives(
    client="start_transaction commit_transaction",
    pipeline="start_transaction commit_transaction transaction_id transaction_status",
)
def test_transactions(client: FelderaClient, pipeline: Pipeline) -> None:
    assert pipeline.transaction_status() == TransactionStatus.NoTransaction
    number = pipeline.start_transaction()
    assert (pipeline.transaction_id(), pipeline.transaction_status()) == (
        number,
        TransactionStatus.TransactionInProgress,
    )
    pipeline.commit_transaction(number)
    assert client.start_transaction("driven") == number + 1
    client.commit_transaction("driven")
    assert pipeline.transaction_status() == TransactionStatus.NoTransaction


@drives(
    client="get_pipeline_stats get_pipeline_metrics get_pipeline_logs resume_pipeline_logs get_pipeline_events "
    "get_pipeline_event get_cluster_events get_cluster_event get_pipeline_support_bundle start_samply_profile "
    "get_samply_profile start_compaction_pipeline rebalance_pipeline",
    pipeline="stats metrics logs resume_logs events event support_bundle start_samply_profile get_samply_profile "
    "start_compaction rebalance",
)
def test_observation(client: FelderaClient, pipeline: Pipeline, tmp_path: Path) -> None:
    assert pipeline.stats().global_metrics.state == PipelineStatus.RUNNING
    assert client.get_pipeline_stats("driven")["global_metrics"]["state"] == "Running"
    assert "# TYPE records_processed_total counter" in str(pipeline.metrics())
    assert "records_processed_total" in [m["key"] for m in client.get_pipeline_metrics("driven", format="json")]
    first = next(client.get_pipeline_logs("driven"))
    assert "Fresh start of pipeline logs" in first
    assert next(pipeline.logs()) == first
    stream = pipeline.resume_logs()
    assert (stream.position.seq, next(iter(client.resume_pipeline_logs("driven")))) == (0, first)
    events = pipeline.events()
    assert client.get_pipeline_events("driven") == events
    assert pipeline.event("latest") == client.get_pipeline_event("driven", events[0]["event_id"])
    assert client.get_cluster_event("latest")["all_healthy"] == client.get_cluster_events()[0]["all_healthy"]
    pipeline.support_bundle(str(tmp_path / "bundle.zip"), limit=1)
    assert "metadata.json" in zipfile.ZipFile(tmp_path / "bundle.zip").namelist()
    assert client.get_pipeline_support_bundle("driven", {"logs": "false"})[:2] == b"PK"
    pipeline.start_samply_profile(duration=1)
    refused("SamplyProfilingInProgress", lambda: client.start_samply_profile("driven", 1))
    wait_for("a profile", lambda: _has_profile(client))
    assert "profiles" in json.loads(gzip.decompress(pipeline.get_samply_profile()))
    pipeline.start_compaction()
    client.start_compaction_pipeline("driven")
    pipeline.rebalance()
    client.rebalance_pipeline("driven")


def _has_profile(client: FelderaClient) -> bool:
    try:
        return bool(client.get_samply_profile("driven"))
    except FelderaAPIError:
        return False


@drives(
    client="validate_program pipeline_diff update_pipeline_runtime testing_force_update_platform_version",
    pipeline="diff update_runtime testing_force_update_platform_version",
)
def test_programs(client: FelderaClient, pipeline: Pipeline) -> None:
    assert set(client.validate_program("SELECT")) == {"SqlError"}
    assert client.validate_program(PROGRAM, ir=True)["Success"]["program_info"]["dataflow"]
    assert pipeline.diff(PROGRAM + "CREATE VIEW w AS SELECT 1;")["program_diff"]["added_views"] == ["w"]
    assert client.pipeline_diff("driven")["program_diff"]["added_views"] == []
    pipeline.update_runtime()  # nothing to do: it is of this version
    client.update_pipeline_runtime("driven")
    refused("UnsupportedPipelineAction", lambda: pipeline.testing_force_update_platform_version("0.1.0"))
    refused("UnsupportedPipelineAction", lambda: client.testing_force_update_platform_version("driven", "0.1.0"))


@drives(client="advance_clock", pipeline="advance_clock")
def test_the_clock(client: FelderaClient, rest: Rest) -> None:
    config = RuntimeConfig(dev_tweaks={"now_http_driven": True, "now_offset": "2026-01-01T00:00:00Z"})
    p = PipelineBuilder(client, "clocked", TICKING, runtime_config=config).create()
    p.start()
    before = int(p.advance_clock(0)["now_ms"])
    assert int(client.advance_clock("clocked", 1000)["now_ms"]) == before + 1000
    rest.remove("clocked")


@drives(client="create_api_key")
def test_api_keys(client: FelderaClient) -> None:
    made = client.create_api_key("of-client")
    assert made["api_key"].startswith("apikey:")
    refused("DuplicateName", lambda: client.create_api_key("of-client"))


@drives(
    client="activate_pipeline approve_pipeline checkpoint_pipeline checkpoint_pipeline_response "
    "checkpoint_pipeline_status get_checkpoints get_remote_checkpoints start_pipeline_as_standby sync_checkpoint "
    "sync_checkpoint_response sync_checkpoint_status",
    pipeline="activate approve checkpoint checkpoint_response checkpoint_status checkpoints "
    "last_successful_checkpoint_sync remote_checkpoints start_standby sync_checkpoint sync_checkpoint_response "
    "sync_checkpoint_status",
)
def test_checkpoints_are_refused(client: FelderaClient, pipeline: Pipeline) -> None:
    uuid = "00000000-0000-0000-0000-000000000000"
    for name in (
        "activate_pipeline", "approve_pipeline", "checkpoint_pipeline", "checkpoint_pipeline_response",
        "checkpoint_pipeline_status", "get_checkpoints", "get_remote_checkpoints", "sync_checkpoint",
        "sync_checkpoint_response", "sync_checkpoint_status",
    ):  # fmt: skip
        refused("EnterpriseFeature", lambda name=name: getattr(client, name)("driven"))
    for name, arguments in {
        "activate": (), "approve": (), "checkpoint": (), "checkpoint_response": (), "checkpoint_status": (0,),
        "checkpoints": (), "last_successful_checkpoint_sync": (), "remote_checkpoints": (), "sync_checkpoint": (),
        "sync_checkpoint_response": (), "sync_checkpoint_status": (uuid,),
    }.items():  # fmt: skip
        refused("EnterpriseFeature", lambda n=name, a=arguments: getattr(pipeline, n)(*a))
    refused("InitialImmutableUnlessStopped", lambda: client.start_pipeline_as_standby("driven", wait=False))
    p = PipelineBuilder(client, "standing-by", PROGRAM).create()
    refused("InitialStandbyNotAllowed", p.start_standby)
    p.delete()


@drives(
    client="list_oidc_trust create_oidc_trust get_oidc_trust delete_oidc_trust create_tenant delete_tenant get_tenant "
    "list_tenants rename_tenant"
)
def test_tenants_and_trusts_are_refused(client: FelderaClient) -> None:
    refused("NotSupported", client.list_oidc_trust)
    refused("NotSupported", lambda: client.create_oidc_trust("n", "https://issuer", "subject"))
    refused("NotSupported", lambda: client.get_oidc_trust("n"))
    refused("NotSupported", lambda: client.delete_oidc_trust("n"))
    refused("InsufficientPermissions", lambda: client.create_tenant("n"))
    refused("InsufficientPermissions", lambda: client.delete_tenant("n"))
    refused("InsufficientPermissions", lambda: client.get_tenant("n"))
    refused("InsufficientPermissions", client.list_tenants)
    refused("InsufficientPermissions", lambda: client.rename_tenant("n", "m"))


@pytest.mark.parametrize("kind", DRIVEN)
def test_every_method_is_driven(kind: type) -> None:
    public = {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}
    assert public - DRIVEN[kind] == set()
