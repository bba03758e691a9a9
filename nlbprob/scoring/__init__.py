"""Scores of predicted rates, the baselines to beat, and submissions: NumPy in float64, usable without a model."""
