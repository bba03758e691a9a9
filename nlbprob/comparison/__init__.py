"""Runs side by side: what they predicted of the same trials, how parsimonious they are, and pages of both."""
