"""The pieces a generative model is assembled from: latents, readouts, observations."""

# ArviZ leaves a numpyro that is loaded when first used; to import a part of that first would load the part twice.
import numpyro  # noqa: F401
