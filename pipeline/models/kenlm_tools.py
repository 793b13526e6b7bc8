"""KenLM's programs ``lmplz`` and ``build_binary``: found where they are installed, else built from KenLM's own source distribution.

``python -m pipeline.models.kenlm_tools [FOLDER]`` builds them ahead, into the environment's folder of programs unless said.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

VERSION: Final = "0.3.0"
SHA256: Final = "c4628bb9fb63c8a6f9240035b8b037385cfc404cb72e933cf48878291edac1e8"
"""Of the source distribution kenlm-0.3.0.tar.gz on PyPI."""
PROGRAMS: Final = ("lmplz", "build_binary")
DEBIAN: Final = ("build-essential", "libboost-program-options-dev", "libboost-thread-dev")
MAX_ORDER: Final = 6
"""As in the Python package, which has to read the models."""

_UNITS: Final[dict[str, tuple[str, ...]]] = {
    "builder": ("lm/builder/*.cc", "lm/common/*.cc", "util/stream/*.cc", "lm/builder/lmplz_main.cc"),
    "library": ("util/*.cc", "util/double-conversion/*.cc", "lm/*.cc"),
    "numbers": ("util/float_to_string.cc",),
    "binary": ("lm/build_binary_main.cc",),
}
"""What is compiled in one go: Boost's headers are read once then, which takes a third of the time."""
_APART: Final = ("float_to_string.cc", "debug_print.cc")
"""Sources that define a name that another one has as well."""
_LINKED: Final = {"lmplz": ("builder", "library", "numbers"), "build_binary": ("binary", "library", "numbers")}
_FLAGS: Final = ("-O2", "-DNDEBUG", f"-DKENLM_MAX_ORDER={MAX_ORDER}", "-std=c++14", "-DHAVE_CLOCKGETTIME", "-w")


class CantBuild(Exception):  # noqa: N818
    """KenLM's programs are not there and can't be built; the message says what to install."""


def cache() -> Path:
    """The folder that they are built into where nobody says another."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "corpusmill" / f"kenlm-{VERSION}"


def find() -> dict[str, str] | None:
    """Paths of both programs: on the PATH, beside this Python, or in the cache; None unless both are there."""
    places = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent), str(cache())])
    found = {name: shutil.which(name, path=places) for name in PROGRAMS}
    return {name: path for name, path in found.items() if path} if all(found.values()) else None


def missing() -> str | None:
    """What stands in the way of training a KenLM model, as a sentence with what to do; None where nothing does."""
    if find() is not None:
        return None
    compiler = shutil.which("g++")
    if compiler is None or not _compiles(compiler):
        return (
            "KenLM's lmplz is not installed, and to build it a C++ compiler and Boost are needed: "
            f"sudo apt-get install -y {' '.join(DEBIAN)}"
        )
    return None


def programs(tell: Callable[[str], None] = lambda _: None) -> dict[str, str]:
    """Paths of both programs; builds them into the cache where they are not there. Raises CantBuild."""
    found = find()
    if found is None:
        build(cache(), tell)
        found = find()
    assert found is not None
    return found


def build(folder: Path, tell: Callable[[str], None]) -> None:
    """Compile both programs into a folder: half a minute of one core. Raises CantBuild."""
    if problem := missing():
        raise CantBuild(problem)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="corpusmill-kenlm-") as work:
        tell(f"fetching the sources of KenLM {VERSION}")
        source = _source(Path(work))
        tell("compiling KenLM's lmplz and build_binary (half a minute of one core, once)")
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            objects = dict(zip(_UNITS, pool.map(functools.partial(_compile, source), _UNITS), strict=True))
        for name, units in _LINKED.items():
            made = source / name
            files = [str(objects[unit]) for unit in units]
            _call(["g++", "-o", str(made), *files, "-lboost_program_options", "-lboost_thread", "-lrt", "-pthread"])
            unfinished = folder / f".{name}.{os.getpid()}"
            shutil.copy2(made, unfinished)
            unfinished.replace(folder / name)


def _compiles(compiler: str) -> bool:
    """Whether the headers and libraries of Boost that are needed are there."""
    code = "#include <boost/program_options.hpp>\n#include <boost/thread.hpp>\nint main() {}\n"
    command = [compiler, "-x", "c++", "-E", "-o", os.devnull, "-"]
    return subprocess.run(command, input=code.encode(), capture_output=True, check=False).returncode == 0


def _source(work: Path) -> Path:
    """The unpacked source distribution, its digest checked."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "kenlm"]
    _call([*pip, "--dest", str(work), f"kenlm=={VERSION}"])
    archive = work / f"kenlm-{VERSION}.tar.gz"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        raise CantBuild(f"{archive.name} from the package index is not the one that is known: sha256 {digest}")
    with tarfile.open(archive) as packed:
        packed.extractall(work, filter="data")
    return work / f"kenlm-{VERSION}"


def _compile(source: Path, unit: str) -> Path:
    text = "".join(f'#include "{path}"\n' for path in _files(source, unit))
    (source / f"{unit}.cc").write_text(text)
    made = source / f"{unit}.o"
    _call(["g++", *_FLAGS, "-I", str(source), "-c", str(source / f"{unit}.cc"), "-o", str(made)])
    return made


def _files(source: Path, unit: str) -> Iterator[Path]:
    for pattern in _UNITS[unit]:
        for path in sorted(source.glob(pattern)):
            named = "*" not in pattern
            if named or not (path.name.endswith(("_main.cc", "_test.cc")) or path.name in _APART):
                yield path.relative_to(source)


def _call(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise CantBuild(f"KenLM's programs can't be built: {command[0]} ended with {done.returncode}: {said}")


if __name__ == "__main__":
    try:
        where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(sys.executable).parent
        if find() is None:
            build(where, lambda message: print(message, file=sys.stderr))
    except CantBuild as error:
        sys.exit(str(error))
