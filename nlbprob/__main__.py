"""`python -m nlbprob` is `nlbprob`."""

import sys

from nlbprob.cli import main

if __name__ == "__main__":
    sys.exit(main())
