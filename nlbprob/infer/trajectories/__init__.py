"""The posterior of each trial's trajectory given the parameters."""
