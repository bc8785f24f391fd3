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
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        output = encoder(_image(*size))  # float32 wherever it is called from
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
    assert embeds.token_counts == tuple(golden["input.attention_mask"].sum(dim=1).tolist())
    assert embeds.truncated == ()
    exact = TextEncoder(GoldenTokenizer(golden), network.double(), "cpu").encode(list("0123"))
    assert (exact.clip_text - golden["output.clip_text_f64"]).abs().max() < 1e-9
    assert (exact.clip_text_pooled - golden["output.clip_text_pooled_f64"]).abs().max() < 1e-9


@pytest.fixture(scope="module")
def text_folders(tmp_path_factory):
    """A whole text encoder in the published layout: letters as tokens, the golden's weights."""
    root = tmp_path_factory.mktemp("text")
    encoder, tokenizer = root / "text_encoder", root / "tokenizer"
    encoder.mkdir()
    tokenizer.mkdir()
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {word: index for index, word in enumerate(words)}
    vocabulary |= {"<|startoftext|>": 998, "<|endoftext|>": 999}
    (tokenizer / "vocab.json").write_text(json.dumps(vocabulary))
    (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    (tokenizer / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "CLIPTokenizer",
                "model_max_length": 77,
                "bos_token": "<|startoftext|>",
                "eos_token": "<|endoftext|>",
                "unk_token": "<|endoftext|>",
                "pad_token": "<|endoftext|>",
            }
        )
    )
    config = json.loads((GOLDEN / "text_conditioning.json").read_text())["config"]
    (encoder / "config.json").write_text(json.dumps(config))
    golden = load_file(GOLDEN / "text_conditioning.safetensors")
    weights = {k: v for k, v in golden.items() if k.startswith("text_")}
    save_file(weights, encoder / "model.safetensors")
    return encoder, tokenizer


def test_a_published_layout_is_loaded_and_long_captions_are_counted(text_folders):
    encoder = TextEncoder.load(*text_folders)
    words = " ".join("a" * 60)
    captions = ["", "a red cup", f"{words} {words}"]
    embeds = encoder.encode(captions)
    assert embeds.clip_text.shape == (3, 77, 32)
    assert embeds.clip_text_pooled.shape == (3, 1, 32)
    assert embeds.token_counts == (2, 2 + 7, 2 + 120)
    assert embeds.truncated == (2,)
    assert embeds.num_truncated == 1
    alone = encoder.encode([captions[1]])
    assert torch.allclose(alone.clip_text[0], embeds.clip_text[1], atol=1e-5)
    cut = encoder.encode([" ".join("a" * 75)])
    assert torch.allclose(cut.clip_text[0], embeds.clip_text[2], atol=1e-5)
    assert encoder.weights_hash == hash_text_encoder(*text_folders)


def test_padding_is_masked_as_in_the_original(text_folders):
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = json.loads((text_folders[0] / "config.json").read_text())
    network = CLIPTextModelWithProjection(CLIPTextConfig(**config)).eval()
    network.load_state_dict(load_file(text_folders[0] / "model.safetensors"))
    ids = torch.tensor([[998, 26, 999, *[999] * 74]])
    with torch.no_grad():
        masked = network(
            ids, attention_mask=(torch.arange(77) < 3).long()[None], output_hidden_states=True
        ).hidden_states[-1]
        unmasked = network(ids, output_hidden_states=True).hidden_states[-1]
    embeds = TextEncoder.load(*text_folders).encode(["a"])
    assert torch.allclose(embeds.clip_text, masked, atol=1e-5)
    assert not torch.allclose(embeds.clip_text, unmasked, atol=1e-2)


class NormedTooEarly(torch.nn.Module):
    """What transformers does where it ties the last hidden state to the final output."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.text_model = network.text_model

    def forward(self, ids, **options):
        output = self.network(ids, **options)
        output["hidden_states"] = (*output.hidden_states[:-1], output.last_hidden_state)
        return output


def test_a_transformers_that_norms_the_hidden_state_is_refused(text_folders):
    encoder = TextEncoder.load(*text_folders)
    with pytest.raises(RuntimeError, match="after the final layer norm"):
        TextEncoder(encoder.tokenizer, NormedTooEarly(encoder.network), "cpu")


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
