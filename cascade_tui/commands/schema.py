"""`cascade-tui schema`: the JSON Schema of a config, by which an editor completes and checks it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_tui import exit_codes
from cascade_tui.arguments import write_output

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "schema",
        help="print the JSON Schema of a config, for editors",
        description="Print the JSON Schema (draft 2020-12) of a config. Editors use it when the "
        "config names it: in TOML by a first line `#:schema ./cascade-tui.schema.json`, in JSON by "
        '`"$schema": "./cascade-tui.schema.json"`. '
        "Exit codes: 0 printed, 2 it cannot be written.",
    )
    parser.add_argument("--to", metavar="FILE", help="write it there, not to stdout")
    parser.add_argument(
        "--of",
        choices=("config", "backends"),
        default="config",
        help="config (the default), or the file that data_backend_config names",
    )


def run(args: argparse.Namespace) -> int:
    """Print or write the schema."""
    from engine.config.schema import backends_schema, json_schema

    schema = json_schema() if args.of == "config" else backends_schema()
    text = json.dumps(schema, indent=2) + "\n"
    if args.to is None:
        sys.stdout.write(text)
        return exit_codes.OK
    write_output(Path(args.to), text.encode())
    return exit_codes.OK
