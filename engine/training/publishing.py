"""A run's exports on the hub, with a model card. Nothing is published unless it is asked for."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import __version__
from engine.config.fields import TrainingConfig
from engine.config.hub import hub_failures
from engine.config.weight_files import is_folder
from engine.run.events import EventReader
from engine.run.paths import RunDirectory
from engine.training.exporting import NAMES

_LICENCE = {
    "license": "other",
    "license_name": "stable-cascade-nc-community",
    "license_link": "https://huggingface.co/stabilityai/stable-cascade/blob/main/LICENSE",
}
_MAX_PICTURES = 8
_USES = {
    "peft": "[PEFT](https://huggingface.co/docs/peft), over diffusers' `StableCascadeUNet`:\n\n"
    "```python\n"
    "import torch\n"
    "from diffusers import StableCascadeUNet\n"
    "from peft import PeftModel\n\n"
    'prior = StableCascadeUNet.from_pretrained("{base}", subfolder="{folder}",\n'
    "                                          torch_dtype=torch.bfloat16)\n"
    'prior = PeftModel.from_pretrained(prior, "{repository}", subfolder="peft")\n'
    "```",
    "comfyui": "ComfyUI and OneTrainer: `lora-comfyui.safetensors`.",
    "kohya": "Tools that read kohya's names: `lora-kohya.safetensors`.",
    "hub": "diffusers:\n\n"
    "```python\n"
    "from diffusers import StableCascadeUNet\n\n"
    'prior = StableCascadeUNet.from_pretrained("{repository}", subfolder="prior")\n'
    "```",
    "single-file": "ComfyUI, as one file: `stage_c.safetensors`.",
}
_TOLD = (
    "lora_type", "lora_rank", "lora_alpha", "lora_target", "use_dora", "base_model_precision",
    "mixed_precision", "optimizer", "learning_rate", "lr_scheduler", "train_batch_size",
    "gradient_accumulation_steps", "snr_weighting", "use_ema", "seed",
)  # fmt: skip


class PublishingError(ValueError):
    """The hub refused, or cannot be reached; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A validation picture and the prompt that it shows."""

    path: Path
    prompt: str


def create_repository(config: TrainingConfig) -> str:
    """Create ``hub_model_id`` where it is not there yet; returns its full name.

    Raises:
        PublishingError: the token may not write there, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi

    assert config.hub_model_id is not None
    try:
        url = HfApi().create_repo(config.hub_model_id, private=config.hub_private, exist_ok=True)
    except hub_failures() as failure:
        raise PublishingError(
            f"hub_model_id: {config.hub_model_id} cannot be pushed to: {_reason(failure)}. Use a "
            "token that may write there (`hf auth login`, HF_TOKEN), or set push_to_hub to false"
        ) from failure
    return str(url.repo_id)


def push(
    run: RunDirectory, config: TrainingConfig, folder: Path, formats: Sequence[str], step: int
) -> str:
    """Put the exports in ``folder``, a model card and pictures on the hub; returns the address.

    Raises:
        PublishingError: nothing was pushed, or not all of it; ``folder`` is as it was.
    """
    from huggingface_hub import HfApi

    repository, api = create_repository(config), HfApi()
    wanted = [pattern for name in formats for pattern in (NAMES[name], f"{NAMES[name]}/*")]
    try:
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message=f"Step {step}, trained with cascade-tui {__version__}",
            allow_patterns=wanted,
        )
        with tempfile.TemporaryDirectory(prefix="cascade-push-") as beside:
            _write_card(Path(beside), config, repository, formats, step, last_pictures(run, step))
            api.upload_folder(repo_id=repository, folder_path=beside, commit_message="Model card")
    except hub_failures() as failure:
        raise PublishingError(
            f"{repository} took not all of {folder}: {_reason(failure)}. The files are there; "
            f"`cascade-tui export {run.root} --push` tries again"
        ) from failure
    return f"{api.endpoint}/{repository}"


def _write_card(
    folder: Path,
    config: TrainingConfig,
    repository: str,
    formats: Sequence[str],
    step: int,
    pictures: Sequence[Picture],
) -> None:
    """Write README.md, and beside it the pictures that it shows."""
    (folder / "images").mkdir()
    for number, picture in enumerate(pictures):
        shutil.copyfile(picture.path, folder / "images" / f"{number}.png")
    card = model_card(config, repository, formats, step, pictures)
    (folder / "README.md").write_text(card, encoding="utf-8")


def last_pictures(run: RunDirectory, step: int) -> tuple[Picture, ...]:
    """The pictures of the newest validation up to ``step``: the decoded ones where there are."""
    best: dict[int, dict[tuple[str, int], Picture]] = {}
    for event in EventReader(run.events).poll(math.inf):
        if event.get("kind") != "image" or event["step"] > step:
            continue
        path = run.root / event["path"]
        key = (event["prompt"], event["seed"])
        # A preview comes first; the decoded picture of the same draw takes its place.
        if path.is_file():
            best.setdefault(event["step"], {})[key] = Picture(path, event["text"])
    newest = best[max(best)] if best else {}
    return tuple(newest.values())[:_MAX_PICTURES]


def model_card(
    config: TrainingConfig,
    repository: str,
    formats: Sequence[str],
    step: int,
    pictures: Sequence[Picture] = (),
) -> str:
    """The README of a repository: metadata that the hub reads, pictures, how it is used and made.

    It names no folder of this machine.
    """
    from huggingface_hub import ModelCardData

    is_lora = config.model_type == "lora"
    base = config.pretrained_model_name_or_path
    published = None if is_folder(base) else base
    data = ModelCardData(
        **_LICENCE,
        base_model=published,
        library_name="peft" if "peft" in formats else "diffusers",
        pipeline_tag="text-to-image",
        tags=["stable-cascade", "stage-c", "text-to-image", *(["lora"] if is_lora else [])],
        widget=[
            {"text": picture.prompt, "output": {"url": f"images/{number}.png"}}
            for number, picture in enumerate(pictures)
        ]
        or None,
    )
    kind = "A LoRA of" if is_lora else "A fine-tune of"
    folder = "prior_lite" if config.model_flavour == "stage-c-lite" else "prior"
    values = {"base": published or "BASE", "folder": folder, "repository": repository}
    parts = [
        f"---\n{data.to_yaml()}\n---\n",
        f"# {repository.rpartition('/')[2]}\n",
        f"{kind} the Stable Cascade Stage C prior ({config.model_flavour}), after {step} steps.\n",
        *(["<Gallery />\n"] if data.to_dict().get("widget") else []),
        "## Use\n",
        *(_filled(_USES[name], values) + "\n" for name in formats),
        "## Training\n",
        "| option | value |\n|---|---|\n" + "".join(_rows(config, is_lora=is_lora)),
        f"Made with cascade-tui {__version__}.\n",
    ]
    return "\n".join(parts)


def _rows(config: TrainingConfig, *, is_lora: bool) -> Iterable[str]:
    for key in _TOLD:
        of_adapter = key.startswith("lora_") or key in ("use_dora", "base_model_precision")
        value = getattr(config, key)
        if value is not None and (is_lora or not of_adapter):
            yield f"| {key} | {value} |\n"


def _filled(template: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _reason(failure: Exception) -> str:
    return " ".join(str(failure).split()) or type(failure).__name__
