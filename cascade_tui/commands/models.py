"""`cascade-tui models [CONFIG]`: the weight files that a run reads: here or not, and fetched."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade_tui import exit_codes
from cascade_tui.arguments import (
    UsageError,
    add_config_options,
    config_path,
    existing_config,
    overrides,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cascade_tui.arguments import Subparsers
    from engine.config.fields import TrainingConfig
    from engine.config.weight_files import NeededFile

_GOOD = ("here", "verified")
# A tokenizer is one file or the other two; a repository may lack what is not needed then.
_ALTERNATIVES = ("tokenizer/tokenizer.json", "tokenizer/vocab.json", "tokenizer/merges.txt")


@dataclass(frozen=True, slots=True)
class Row:
    """One file, its size, and what is known of it."""

    file: NeededFile
    size_bytes: int | None
    state: str


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "models",
        help="show which weight files are here, and fetch those that are not",
        description="Show every file of weights that a config needs: where it lies, how large it "
        "is, whether it is whole. Without CONFIG, those of the defaults. "
        "Exit codes: 0 all are here, 2 some are not.",
    )
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="a config, JSON or TOML")
    add_config_options(parser)
    parser.add_argument(
        "--verify", action="store_true", help="read every file and compare its hash with the hub's"
    )
    parser.add_argument(
        "--fetch",
        action="store_true",
        help="fetch what is missing from the hub; a connection that breaks off is taken up again "
        "where it was (HF_TOKEN and `hf auth login` are used, HF_HUB_OFFLINE is honoured)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Show the files, fetched first if asked for; returns 0 if none is missing, else 2."""
    from engine.config.weight_files import needed_files

    config = _config(args)
    is_fetched = not args.fetch or _fetch(needed_files(config))
    rows = [_row(file, verify=args.verify) for file in needed_files(config)]
    if args.json:
        print(json.dumps({"files": [_as_dict(row) for row in rows]}, indent=2))
    else:
        print(_as_table(rows))
    is_whole = is_fetched and all(row.state in _GOOD for row in rows)
    return exit_codes.OK if is_whole else exit_codes.USAGE


def _config(args: argparse.Namespace) -> TrainingConfig:
    from engine.config.fields import TrainingConfig
    from engine.config.loading import load_project

    path = config_path(args.config, args)
    if path is None:
        if args.set:
            raise UsageError("--set changes a config: name one")
        return TrainingConfig()
    project = load_project(existing_config(path), overrides(args), check=False)
    if project.config is None or project.errors:
        told = "; ".join(f"{p.key or p.where}: {p.message}" for p in project.errors)
        raise UsageError(f"{path} cannot be read: {told}")
    return project.config


def _row(file: NeededFile, *, verify: bool) -> Row:
    if file.path is None or file.problem == "missing":
        return Row(file, None, "missing")
    size = file.path.stat().st_size
    # The hub cache names a large file by its sha256; nothing else tells what it should be.
    expected = file.path.resolve().name
    if file.problem or not verify or not re.fullmatch("[0-9a-f]{64}", expected):
        return Row(file, size, file.problem or "here")
    is_same = _sha256(file.path) == expected
    return Row(file, size, "verified" if is_same else "is damaged: its hash is not the hub's")


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _fetch(files: tuple[NeededFile, ...]) -> bool:
    """Fetch what is missing or damaged; False, with the reason on stderr, where that failed."""
    for file in files:
        if file.problem and file.is_local:
            print(f"{file.repository} is a folder here: put {file.name} into it", file=sys.stderr)
    wanted = [file for file in files if file.problem and not file.is_local]
    return all(_fetch_one(file) for file in wanted)


def _fetch_one(file: NeededFile) -> bool:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    from engine.config.hub import hub_failures

    print(f"fetching {file.repository} {file.name}", file=sys.stderr)
    try:
        hf_hub_download(
            file.repository,
            file.name,
            revision=file.revision,
            force_download=file.problem != "missing",
        )
    except hub_failures() as failure:
        is_absent = isinstance(failure, EntryNotFoundError)
        is_unreachable = isinstance(failure, LocalEntryNotFoundError)  # which derives from that
        if is_absent and not is_unreachable and file.name in _ALTERNATIVES:
            return True
        reason = str(failure).strip().split("\n")[0]
        print(
            f"cascade-tui: {file.repository} {file.name} could not be fetched: {reason}\n"
            "What is whole is kept: the same command fetches the rest.",
            file=sys.stderr,
        )
        return False
    return True


def _as_dict(row: Row) -> dict[str, Any]:
    from engine.config.weight_files import published_bytes

    return {
        "repository": row.file.repository,
        "file": row.file.name,
        "path": None if row.size_bytes is None else str(row.file.path),
        "bytes": row.size_bytes,
        "published_bytes": published_bytes(row.file.name),
        "state": row.state,
    }


def _as_table(rows: list[Row]) -> str:
    from engine.config.weight_files import published_bytes

    lines, repository = [], ""
    width = max(len(row.file.name) for row in rows)
    for row in rows:
        if row.file.repository != repository:
            repository = row.file.repository
            lines.append(repository)
        size = _size(row.size_bytes) if row.size_bytes is not None else _published(row.file)
        glyph = "✔" if row.state in _GOOD else "✖"
        lines.append(f"  {glyph} {row.file.name:<{width}}  {size:>9}  {row.state}")
    num_bad = sum(row.state not in _GOOD for row in rows)
    total = _size(sum(row.size_bytes or 0 for row in rows))
    missing = sum(published_bytes(row.file.name) or 0 for row in rows if row.state not in _GOOD)
    about = f" (about {_size(missing)})" if missing else ""
    rest = f"{num_bad} missing or damaged{about}: add --fetch" if num_bad else "all are here"
    lines.append(f"{len(rows) - num_bad} files, {total}; {rest}")
    return "\n".join(lines)


def _published(file: NeededFile) -> str:
    """About what a missing file will take."""
    from engine.config.weight_files import published_bytes

    size = published_bytes(file.name)
    return "" if size is None else f"~{_size(size)}"


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"
