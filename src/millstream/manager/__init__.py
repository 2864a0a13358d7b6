"""The control plane: REST API, pipeline store, program compiler, and the runner of pipeline processes.

A request enters through `app.py` and `routes/`. What it means for a pipeline is decided by pure functions on the
frozen `models.Pipeline`: `edits.py` (create, update, delete), `program.py` (compilation) and `lifecycle.py`
(deployment). `store.py` applies such a function in one transaction and records an event. Two background services
carry out what was decided: `compiler.py` checks programs in a worker process (`compile_worker.py`); `runner.py` has a
`driver.py` for each pipeline that starts, watches and stops its operating-system process (`process.py`), and its log
(`logs.py`). `proxy.py` forwards the data plane to that process. `services.py` puts all of this together for a server.
"""
