"""An entry to the Neural Latents Benchmark: a folder from which runs can be read, verified and repeated."""
