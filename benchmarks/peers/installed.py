"""The peers' servers in an environment of their own: they want other releases of what we use."""

from __future__ import annotations

import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

WANTED = ("numpy", "tesseract-core[runtime]>=1.15,<2", "umbridge>=1.2,<2")


class NotInstalledError(Exception):
    """They could not be installed, and why."""


@cache
def python(folder: Path) -> Path:
    """The interpreter of that environment, which is made where it is not there.

    Args:
        folder: where files may be kept from run to run.

    Raises:
        NotInstalledError: no index of packages can be reached, or it lacks one.
    """
    home = folder.resolve() / "peers"
    stamp, found = home / "installed", home / "bin" / "python"
    if stamp.exists() and stamp.read_text() == str(WANTED):
        return found
    if not found.exists():
        venv.create(home, with_pip=True)
    command = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, *WANTED], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalledError(done.stderr.strip().splitlines()[-1][:200])
    stamp.write_text(str(WANTED))
    return found


if __name__ == "__main__":
    print(python(Path(sys.argv[1])))
