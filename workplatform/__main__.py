"""`python -m workplatform` is the same as the `workplatform` command."""

from workplatform.cli import main

if __name__ == "__main__":
    main()
