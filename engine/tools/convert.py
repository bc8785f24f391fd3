"""``cascade-tui convert``: a prior or an adapter in another format."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.adapters.adapter import AdapterError
from engine.adapters.convert import FORMATS as ADAPTER_FORMATS
from engine.adapters.convert import convert_adapter
from engine.fullsize.layout import PRIORS
from engine.models.prior_config import PriorConfig
from engine.tools import Request, run_tool
from engine.tools.full_models import (
    FORMATS,
    is_full_model,
    read_full_model,
    write_full_model,
)


def convert(request: Request) -> None:
    """Write ``source`` as ``target`` in ``format``; a whole prior's default is the other format.

    Raises:
        AdapterError, WeightsError: it is neither, or the format cannot hold it.
    """
    source, target, fmt = Path(request["source"]), Path(request["target"]), request["format"]
    prior = Path(request["prior"]) if request["prior"] else None
    if prior is not None and prior.is_dir():
        prior = prior / "config.json"
    if is_full_model(source):
        model = read_full_model(source, prior)
        other = "hub" if model.is_single_file else "single-file"
        write_full_model(target, model, fmt or other)
        return
    if source.is_dir() and not any(source.glob("*.safetensors")):
        raise AdapterError(f"{source} holds neither a prior nor an adapter: no .safetensors file")
    if fmt is None or fmt in FORMATS:
        raise AdapterError(
            f"{source} is an adapter: say --to {', '.join(ADAPTER_FORMATS)}, or fold it into its "
            "base with `cascade-tui merge`"
        )
    base = read_full_model(Path(request["base"]), prior).tensors if request["base"] else None
    configs = [PriorConfig.from_file(prior)] if prior else list(PRIORS.values())
    for config in configs:
        try:
            convert_adapter(source, target, fmt, config, base=base)
        except AdapterError as fault:
            if prior is not None or target.exists():
                raise
            if config is configs[-1]:
                raise AdapterError(
                    f"{fault}. Of no published shape? Name its prior's config.json with --prior"
                ) from fault
        else:
            return


if __name__ == "__main__":
    sys.exit(run_tool(convert))
