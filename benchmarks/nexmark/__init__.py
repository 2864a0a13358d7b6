"""The Nexmark benchmark: its 23 queries over the events of an auction site, fed to the engine as Arrow batches."""
