"""`python -m edgesdk` is the command `edgesdk`."""

from edgesdk.cli import main

if __name__ == "__main__":
    main()
