"""`python -m freehold`, the same as the command `freehold`."""

import sys


def main() -> None:
    """Run the command line; an interrupt while it is still being read in ends it like any other."""
    try:
        from freehold import cli  # noqa: PLC0415 (so that an interrupt while it loads is caught as well)

        cli.main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
