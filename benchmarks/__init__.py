"""Benchmarks that anyone can run: `make bench`. Each case checks its result before it reports a speed,
runs several times in a process of its own, and is reported as a median beside what a user would pick instead."""

from millstream.allocator import keep_freed_memory

keep_freed_memory()  # as a pipeline's process does
