"""`python -m symstudy` is the program `symstudy`.

Python looks for every module in the working directory first when it is called so. That may be
somebody else's folder of results, so it is taken out; `symstudy` itself may have come from there.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    if Path(sys.path[0]) == Path.cwd() != Path(__file__).parent.parent:
        del sys.path[0]
    from symstudy.cli import program

    program()
