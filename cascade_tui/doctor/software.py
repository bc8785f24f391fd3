"""Python and packages, from their metadata: nothing of them is imported."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from cascade_tui.doctor.findings import Finding, error, ok, warning

_LEAST_PYTHON = (3, 11)
_OURSELVES = "cascade-tui"
_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)\s*(?:>=\s*(?P<least>[\w.]+))?[^;]*(?:;.*extra == ['\"](?P<extra>[\w-]+))?"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package that we need, or that an extra of ours brings."""

    name: str
    least: str
    extra: str


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Iterator[Finding]:
    """The interpreter is new enough, and one of 64 bits."""
    text = ".".join(map(str, version))
    least = ".".join(map(str, _LEAST_PYTHON))
    if version < _LEAST_PYTHON:
        yield error("python", f"{text} is too old", f"install Python {least} or newer")
    elif sys.maxsize < 2**32:
        yield error("python", f"{text} is a 32-bit build", "install a 64-bit Python")
    else:
        yield ok("python", f"{text} ({sys.executable})")


def requirements(declared: Sequence[str]) -> tuple[Requirement, ...]:
    """Our requirements as the package metadata has them; those of development are left out."""
    found = []
    for text in declared:
        match = _REQUIREMENT.match(text)
        if match is not None and match["extra"] != "dev":
            found.append(Requirement(match["name"], match["least"] or "", match["extra"] or ""))
    return tuple(dict.fromkeys(found))


def check_packages(
    needed: Sequence[Requirement], installed: Mapping[str, str], broken: Mapping[str, str]
) -> Iterator[Finding]:
    """What we need is installed, new enough and whole; `installed` maps names to versions."""
    wrong = 0
    for item in needed:
        version = installed.get(_normal(item.name))
        install = f"pip install '{item.name}{f'>={item.least}' if item.least else ''}'"
        if item.extra:
            if version is not None and _is_older(version, item.least):
                message = f"{item.name} {version} is older than {item.least}"
                yield warning(f"extra {item.extra}", message, install)
            elif version is None:
                extra = f"pip install '{_OURSELVES}[{item.extra}]'"
                yield ok(f"extra {item.extra}", f"{item.name} is not installed ({extra})")
            else:
                yield ok(f"extra {item.extra}", f"{item.name} {version}")
        elif version is None:
            wrong += 1
            yield error("packages", f"{item.name} is not installed", install)
        elif _is_older(version, item.least):
            wrong += 1
            yield error("packages", f"{item.name} {version} is older than {item.least}", install)
    for name, why in broken.items():
        wrong += 1
        fix = "install torch and torchvision together: pip install -U torch torchvision"
        yield error("packages", f"{name}: {why}", fix)
    if not wrong:
        count = sum(not item.extra for item in needed)
        pair = " and ".join(
            f"{n} {installed[n]}" for n in ("torch", "torchvision") if n in installed
        )
        yield ok("packages", f"all {count} are there, with {pair}")


def check_software() -> Iterator[Finding]:
    """Python, and every package that the metadata of this installation names."""
    from engine.config.environment import probe_environment

    yield from check_python()
    try:
        needed = requirements(metadata.requires(_OURSELVES) or ())
    except metadata.PackageNotFoundError:
        message = "cascade-tui itself is not installed, so what it needs is not known"
        yield warning("packages", message, "pip install -e . in its folder")
        return
    installed = {}
    for item in needed:
        try:
            installed[_normal(item.name)] = metadata.version(item.name)
        except metadata.PackageNotFoundError:
            continue
    yield from check_packages(needed, installed, probe_environment().broken)


def torch_cuda() -> str | None:
    """The CUDA version that the installed torch was built with, as in "13.0".

    Empty for a build without CUDA, None if there is no torch or it does not say.
    """
    spec = importlib.util.find_spec("torch")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        try:
            text = (Path(folder) / "version.py").read_text()
        except OSError:
            continue
        match = re.search(r"^cuda\b[^=]*=\s*(?:None|['\"]([\d.]*)['\"])", text, re.MULTILINE)
        if match:
            return match[1] or ""
    return None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_older(version: str, least: str) -> bool:
    def release(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3])

    return bool(least) and release(version) < release(least)
