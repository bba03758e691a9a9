"""A run's folder: its manifest, the lock of its one writer, and how new files take their place in it.

Its modules import nothing heavy, so that `nlbprob check` and `nlbprob score` answer at once.
"""
