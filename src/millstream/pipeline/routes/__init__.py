"""The HTTP endpoints of a pipeline process, one subject a file; each exports `ROUTES`."""
