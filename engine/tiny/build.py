"""Builds stage-c-tiny: ``python -m engine.tiny.build DEST``.

A Stage C small enough for a laptop, in exactly the layout of the published repositories (folders,
file names, keys, config files), so that demo and tests run what the real weights run through.
Prior and previewer are copied from the committed weights; the image encoder is too large to ship
and is made from its seed, calibrated on the photographs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from engine.tiny.layout import (
    DECODER,
    ENCODED_SIDE_PX,
    ENGLISH_NAME,
    MODEL_INDEX,
    NUM_CALIBRATION_CROPS,
    NUM_MERGES,
    PHOTOGRAPHS_NAME,
    PRETRAINED_NAME,
    PRIOR,
    SCHEDULER,
    SEED,
    SOURCE,
    TEXT_ENCODER,
    VQGAN,
)

RECEIPT_NAME = "stage-c-tiny.json"
_FORMAT = 1  # raise when the same inputs give another model

Report = Callable[[str], None]


class BuildError(ValueError):
    """Something the build needs is not there; the message says what and where."""


def build(
    destination: Path,
    *,
    source: Path = SOURCE,
    photographs: Path | None = None,
    report: Report = lambda _line: None,
) -> bool:
    """Build the model folder, unless it is there already; return whether it was built.

    Args:
        destination: the folder to make. One that is whole and of the same inputs is left alone,
            any other model built here is replaced.
        source: the folder with the trained weights, the English text and the photographs.
        photographs: another folder of JPEGs to calibrate the image encoder on.
        report: called with a line per part.

    Raises:
        BuildError: an input is missing, or ``destination`` holds something else.
    """
    photographs = photographs or source / PHOTOGRAPHS_NAME
    receipt = _receipt(source, photographs)
    if _is_whole(destination, receipt):
        report(f"stage-c-tiny is already in {destination}")
        return False
    if destination.exists() and any(destination.iterdir()) and not _was_built_here(destination):
        raise BuildError(f"{destination} holds something else: choose an empty or a new folder")
    aside = destination.with_name(f".{destination.name}.building")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    _write_parts(aside, source, photographs, report)
    receipt["files"] = _sizes(aside)
    (aside / RECEIPT_NAME).write_text(json.dumps(receipt, indent=2) + "\n")
    if destination.exists():
        shutil.rmtree(destination)
    aside.rename(destination)
    report(f"stage-c-tiny is in {destination}")
    return True


def _write_parts(root: Path, source: Path, photographs: Path, report: Report) -> None:
    from engine.tiny.decoder import write_decoder
    from engine.tiny.encoder import write_encoder
    from engine.tiny.photographs import centre_crops, load_photographs, random_crops
    from engine.tiny.text_encoder import write_text_encoder
    from engine.tiny.tokenizer import write_tokenizer

    report("1/5 tokenizer and text encoder")
    english = (source / ENGLISH_NAME).read_text(encoding="utf-8")
    vocab_size = write_tokenizer(root / "tokenizer", english, max_merges=NUM_MERGES)
    write_text_encoder(root / "text_encoder", vocab_size)
    report("2/5 prior and previewer")
    _write_trained(root, source / PRETRAINED_NAME)
    report("3/5 scheduler and model index")
    _write_json(root / "scheduler" / "scheduler_config.json", SCHEDULER)
    _write_json(root / "model_index.json", MODEL_INDEX)
    report("4/5 decoder and VQGAN (untrained: their pictures are noise)")
    write_decoder(root)
    report("5/5 image encoder, calibrated on the photographs")
    pictures = list(load_photographs(photographs).values())
    write_encoder(
        root / "effnet_encoder.safetensors",
        centre_crops(pictures, ENCODED_SIDE_PX),
        random_crops(pictures, ENCODED_SIDE_PX, count=NUM_CALIBRATION_CROPS, seed=SEED),
    )


def _write_trained(root: Path, weights: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = {
        key: value.float() if value.is_floating_point() else value
        for key, value in load_file(weights).items()
    }
    _write_json(root / "prior" / "config.json", PRIOR)
    save_file(
        _below("prior.", tensors),
        root / "prior" / "diffusion_pytorch_model.safetensors",
        metadata={"format": "pt"},
    )
    save_file(_below("previewer.", tensors), root / "previewer.safetensors")


def _below(prefix: str, tensors: dict[str, Any]) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _receipt(source: Path, photographs: Path) -> dict[str, Any]:
    """What the model is made of; equal receipts mean equal models."""
    inputs = [source / PRETRAINED_NAME, source / ENGLISH_NAME, *sorted(photographs.glob("*.jpg"))]
    if len(inputs) == 2:
        raise BuildError(f"{photographs} holds no .jpg file to calibrate the image encoder on")
    digest = hashlib.blake2b(digest_size=16)
    for path in inputs:
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise BuildError(
                f"{path} can't be read: {error.strerror}. Is the checkout whole?"
            ) from error
    shape = [_FORMAT, SEED, NUM_MERGES, ENCODED_SIDE_PX, TEXT_ENCODER, PRIOR, DECODER, VQGAN]
    digest.update(json.dumps(shape, sort_keys=True).encode())
    return {"inputs": digest.hexdigest()}


def _is_whole(destination: Path, receipt: dict[str, Any]) -> bool:
    try:
        kept = json.loads((destination / RECEIPT_NAME).read_text())
    except (OSError, ValueError):
        return False
    return kept["inputs"] == receipt["inputs"] and kept["files"] == _sizes(destination)


def _was_built_here(destination: Path) -> bool:
    return (destination / RECEIPT_NAME).exists()


def _sizes(root: Path) -> dict[str, int]:
    return {
        path.relative_to(root).as_posix(): path.stat().st_size
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != RECEIPT_NAME
    }


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m engine.tiny.build",
        description="Build stage-c-tiny, a small Stage C in the published layout.",
    )
    parser.add_argument("destination", type=Path, metavar="DEST", help="the folder to make")
    parser.add_argument("--source", type=Path, default=SOURCE, help="the demo's folder")
    parser.add_argument("--photographs", type=Path, help="calibrate on these JPEGs instead")
    options = parser.parse_args()
    try:
        build(
            options.destination,
            source=options.source,
            photographs=options.photographs,
            report=lambda line: print(line, flush=True),
        )
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Exception as error:  # a full disk, as Python, safetensors and tokenizers tell it
        if not isinstance(error, OSError | SafetensorError) and "(os error" not in str(error):
            raise
        reason = getattr(error, "strerror", None) or error
        print(f"error: cannot write {options.destination}: {reason}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
