"""`python -m freehold`, the same as the command `freehold`."""

from freehold.cli import main

if __name__ == "__main__":
    main()
