"""`python -m tapehouse_cli` is the command `tapehouse`."""

import sys

from tapehouse_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
