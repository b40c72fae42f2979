"""`python -m cluster.cli`: leasectl without an installation."""

from cluster.cli import main

if __name__ == "__main__":
    main()
