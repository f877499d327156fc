"""`python -m symstudy` is the program `symstudy`."""

from symstudy.cli import main

if __name__ == "__main__":
    main()
