"""`python -m nlbprob` is `nlbprob`."""

import sys

from nlbprob.cli import program

if __name__ == "__main__":
    sys.exit(program())
