"""The REST API: one module a subject, each with a `router`."""
