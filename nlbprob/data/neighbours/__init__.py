"""Recordings that another library holds in memory, read as `nlbprob.load` reads a file.

Each library has a module that recognises its objects and turns them into a `Session`. Objects are known by their
attributes: none of these libraries is imported or required.
"""
