"""Z-sets: deltas, sorted runs, traces, hashing, and the numba kernels under them."""
