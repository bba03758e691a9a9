"""The pieces a generative model is assembled from: latents, readouts, observations."""
