"""Image encoder, previewer and text encoder equal the originals' recorded outputs."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.models.effnet import EfficientNetEncoder, load_effnet_encoder, normalise
from engine.models.previewer import Previewer
from engine.models.text import TextEncoder, hash_text_encoder
from engine.models.weights import WeightsError

GOLDEN = Path(__file__).parents[2] / "golden"
P, A, B, D, E = 1_000_003, 48271, 137, 7919, 12345


def _v(index: torch.Tensor, k: int) -> torch.Tensor:
    numerator = (A * index * index + B * k * index + D * k + E) % P
    return 2 * (numerator.double() / P) - 1


def _fill(key: str, k: int, shape: list[int]) -> torch.Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    size = torch.Size(shape).numel()
    v = _v(torch.arange(size), k).view(shape)
    if key.endswith("running_mean"):
        return (0.1 * v).float()
    if key.endswith("running_var"):
        return (1 + 0.5 * v.abs()).float()
    if len(shape) == 4:
        late = key.startswith(("backbone.4", "backbone.5", "backbone.6", "backbone.7", "mapper"))
        gain = 1.35 if late else 1.3
        return (gain * (3 / (shape[1] * shape[2] * shape[3])) ** 0.5 * v).float()
    return (1 + 0.25 * v if key.endswith("weight") else 0.1 * v).float()


def _image(height: int, width: int) -> torch.Tensor:
    y, x = torch.arange(height).view(-1, 1), torch.arange(width).view(1, -1)
    channels = [
        0.5
        + 0.3 * torch.sin(0.13 * x.double() + 0.7 * c) * torch.cos(0.09 * y.double() - 0.4 * c)
        + 0.15 * _v(y * width + x, c)
        for c in range(3)
    ]
    return torch.stack(channels)[None].float()


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory):
    with torch.device("meta"):
        shapes = {k: list(t.shape) for k, t in EfficientNetEncoder().state_dict().items()}
    state = {key: _fill(key, k, shapes[key]) for k, key in enumerate(sorted(shapes))}
    path = tmp_path_factory.mktemp("encoder") / "effnet_encoder.safetensors"
    save_file(state, path)
    return path


def test_the_encoder_has_exactly_the_published_keys_shapes_and_types():
    golden = json.loads((GOLDEN / "keys_effnet_encoder.json").read_text())
    with torch.device("meta"):
        state = EfficientNetEncoder().state_dict()
    expected = next(v for v in golden.values() if isinstance(v, dict) and "mapper.0.weight" in v)
    assert state.keys() == expected.keys()
    assert len(state) == 784
    for key, entry in expected.items():
        shape, dtype = (entry["shape"], entry["dtype"]) if isinstance(entry, dict) else entry
        assert list(state[key].shape) == shape, key
        assert str(state[key].dtype).removeprefix("torch.") == dtype.removeprefix("torch."), key


@pytest.mark.parametrize(("name", "size"), [("a", (160, 224)), ("b", (168, 200))])
def test_the_encoder_equals_the_original(encoder_file, name, size):
    golden = load_file(GOLDEN / "effnet_golden.safetensors")
    encoder = load_effnet_encoder(encoder_file)
    with torch.no_grad():
        output = encoder(_image(*size))
    assert (output - golden[f"output_{name}"]).abs().max() < 1e-3


def test_the_encoder_equals_the_original_in_float64(encoder_file):
    golden = load_file(GOLDEN / "effnet_golden.safetensors")
    encoder = load_effnet_encoder(encoder_file).double()
    with torch.no_grad():
        features = encoder.backbone(normalise(_image(160, 224)).double())
        output = encoder.mapper(features)
    assert (output - golden["output_a_f64"]).abs().max() < 1e-9


def test_an_imagenet_classifier_is_not_taken_for_the_encoder(encoder_file, tmp_path):
    state = load_file(encoder_file)
    without_mapper = {k: v for k, v in state.items() if not k.startswith("mapper")}
    path = tmp_path / "effnet_encoder.safetensors"
    save_file(without_mapper, path)
    with pytest.raises(WeightsError, match=r"4 missing \(mapper\.0\.weight"):
        load_effnet_encoder(path)


def test_the_previewer_equals_the_original():
    golden = load_file(GOLDEN / "previewer_golden.safetensors")
    previewer = Previewer(hidden=32).eval()
    state = {k: v for k, v in golden.items() if k.startswith("blocks.")}
    previewer.load_state_dict(state)
    with torch.no_grad():
        image = previewer(golden["input.latents"])
        exact = previewer.double()(golden["input.latents"].double())
    assert (image - golden["output.image"]).abs().max() < 5e-5
    assert (exact - golden["output.image_f64"]).abs().max() < 1e-9


def test_the_full_previewer_has_exactly_the_published_keys_and_shapes():
    golden = json.loads((GOLDEN / "keys_previewer.json").read_text())
    expected = next(v for v in golden.values() if isinstance(v, dict) and "blocks.0.weight" in v)
    state = Previewer().state_dict()
    assert state.keys() == expected.keys()
    for key, entry in expected.items():
        shape = entry["shape"] if isinstance(entry, dict) else entry[0]
        assert list(state[key].shape) == shape, key


class GoldenTokenizer:
    """The recorded token ids: the golden's captions were never text."""

    bos_token_id, eos_token_id = 998, 999

    def __init__(self, golden):
        self.golden = golden

    def __call__(self, captions, *, padding, **_options):
        rows = [int(caption) for caption in captions]
        ids, mask = self.golden["input.ids"][rows], self.golden["input.attention_mask"][rows]
        if padding == "max_length":
            return {"input_ids": ids, "attention_mask": mask}
        return {
            "input_ids": [row[: int(m.sum())].tolist() for row, m in zip(ids, mask, strict=True)]
        }


def test_text_conditioning_equals_the_original_padding_included():
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    golden = load_file(GOLDEN / "text_conditioning.safetensors")
    config = json.loads((GOLDEN / "text_conditioning.json").read_text())["config"]
    network = CLIPTextModelWithProjection(CLIPTextConfig(**config)).eval()
    weights = {k: v for k, v in golden.items() if k.startswith("text_")}
    network.load_state_dict(weights, strict=True)
    embeds = TextEncoder(GoldenTokenizer(golden), network, "cpu").encode(["0", "1", "2", "3"])
    assert (embeds.clip_text - golden["output.clip_text"]).abs().max() < 2e-5
    assert (embeds.clip_text_pooled - golden["output.clip_text_pooled"]).abs().max() < 2e-5
    assert embeds.num_truncated == 0


def test_a_text_encoder_folder_without_its_files_is_told(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        TextEncoder.load(tmp_path, tmp_path)


def test_the_text_encoders_identity_covers_the_tokenizer(tmp_path):
    encoder, tokenizer = tmp_path / "text_encoder", tmp_path / "tokenizer"
    for folder, names in (
        (encoder, ["config.json", "model.safetensors"]),
        (tokenizer, ["vocab.json"]),
    ):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name)
    before = hash_text_encoder(encoder, tokenizer)
    (tokenizer / "vocab.json").write_text("other")
    assert hash_text_encoder(encoder, tokenizer) != before
