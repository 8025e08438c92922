"""What files import, read from their text, and what an import brings into memory, seen in a fresh interpreter."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "freehold"

# Runs in a fresh interpreter, with every way to the network and to other programs closed.
IMPORT_EVERYTHING = """
import sys

def refuse(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto", "subprocess.Popen")):
        raise RuntimeError(f"{event}{arguments} while importing")

sys.addaudithook(refuse)

import importlib
import pkgutil

packages, absent, without = (argument.split() for argument in sys.argv[1:])
sys.modules.update(dict.fromkeys(absent))

for name in packages:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name.startswith(tuple(without)):
            continue
        if not module.name.endswith("__main__") and ".migrations." not in module.name:
            importlib.import_module(module.name)
print(*sys.modules, sep="\\n")
"""


def load(*packages: str, absent: Sequence[str] = (), without: Sequence[str] = ()) -> set[str]:
    """Every module in memory after importing these packages, as if those absent were not installed.

    `without` are parts of the packages that are left out.
    """
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            IMPORT_EVERYTHING,
            " ".join(packages),
            " ".join(absent),
            " ".join(without),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def imported_modules(path: Path) -> Iterator[str]:
    """The absolute names that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)
            case _:
                pass
