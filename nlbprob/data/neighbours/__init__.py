"""Recordings that another library holds in memory, read as `nlbprob.load` reads a file.

Each library has a module that says which objects it takes and makes a `Session` of them. Objects are known by their
attributes: none of these libraries is imported or required.
"""
