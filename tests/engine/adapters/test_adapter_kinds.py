"""DoRA, rsLoRA, ranks by pattern, LoKr and LoHa: attached, kept, exported, merged, learnt."""

import json

import pytest
import torch
from safetensors.torch import load_file

from engine.adapters.adapter import Adapter, AdapterError, with_dora_norm
from engine.adapters.export import save_comfyui, save_peft
from engine.adapters.lora import (
    LoraSettings,
    adapter_state,
    attach_lora,
    base_weights,
    load_adapter_state,
    without_adapter,
)
from engine.adapters.merge import merge_adapter, merge_adapters
from engine.adapters.names import comfyui_module
from engine.adapters.quantize import quantize_base
from engine.adapters.targets import linear_layers
from engine.models.weights import to_original
from tests.engine.adapters.learnt_adapters import GOLDEN, KINDS, golden_prior, learnt, run, seeded


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_fresh_adapter_of_every_kind_changes_nothing_and_is_reproducible(prior, io, kind):
    before = run(prior, io)
    first = attach_lora(prior, KINDS[kind], generator=seeded())
    assert torch.allclose(run(prior, io), before, atol=1e-6, rtol=0)
    again = attach_lora(golden_prior(), KINDS[kind], generator=seeded())
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(p.dtype == torch.float32 for p in first.values())
    other = attach_lora(golden_prior(), KINDS[kind], generator=seeded(1))
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_can_be_put_aside_for_a_while(prior, io, kind):
    adapted, _ = learnt(KINDS[kind])
    before = run(adapted, io)
    with without_adapter(adapted):
        assert torch.equal(run(adapted, io), run(prior, io))
    assert torch.equal(run(adapted, io), before)
    assert not torch.allclose(before, run(prior, io), atol=1e-3)
    assert any(parameter.requires_grad for parameter in adapted.parameters())


@pytest.mark.parametrize("kind", list(KINDS))
def test_merging_gives_the_output_of_the_active_adapter(prior, io, kind):
    active, adapter = learnt(KINDS[kind])
    expected, before = run(active, io), run(prior, io)
    assert not torch.allclose(expected, before, atol=1e-3)
    prior.load_state_dict(merge_adapter(prior.state_dict(), adapter))
    assert torch.allclose(run(prior, io), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_state_of_every_kind_comes_back(io, kind):
    active, adapter = learnt(KINDS[kind])
    fresh = golden_prior()
    attach_lora(fresh, KINDS[kind], generator=seeded(9))
    load_adapter_state(fresh, adapter.state)
    assert torch.equal(run(fresh, io), run(active, io))
    assert adapter_state(fresh).keys() == adapter.state.keys()


@pytest.mark.parametrize("kind", ["lora", "rslora", "dora", "ranks", "patterns"])
@pytest.mark.parametrize("as_trained", [True, False])
def test_peft_loads_every_kind_with_the_same_output(io, tmp_path, kind, as_trained):
    from diffusers.models.unets.unet_stable_cascade import StableCascadeUNet
    from peft import PeftModel

    active, adapter = learnt(KINDS[kind])
    save_peft(tmp_path / "peft", adapter, KINDS[kind] if as_trained else None, metadata={})
    unet = StableCascadeUNet.from_config(json.loads((GOLDEN / "config.json").read_text())).eval()
    unet.load_state_dict(load_file(GOLDEN / "unet_tiny_diffusers.safetensors"))
    theirs = PeftModel.from_pretrained(unet, tmp_path / "peft")
    with torch.no_grad():
        output = theirs(
            sample=io["input.x"],
            timestep_ratio=io["input.r"],
            clip_text=io["input.clip_text"],
            clip_text_pooled=io["input.clip_text_pooled"],
            clip_img=io["input.clip_img"],
        ).sample
    assert torch.allclose(output, run(active, io), atol=1e-4, rtol=1e-4)


def test_the_peft_config_says_dora_rslora_and_patterns(tmp_path):
    for kind in ("dora", "rslora", "ranks"):
        save_peft(tmp_path / kind, learnt(KINDS[kind])[1], KINDS[kind], metadata={})
    configs = {
        kind: json.loads((tmp_path / kind / "adapter_config.json").read_text())
        for kind in ("dora", "rslora", "ranks")
    }
    assert configs["dora"]["use_dora"]
    assert configs["rslora"]["use_rslora"]
    assert not configs["ranks"]["use_dora"]
    assert not configs["ranks"]["use_rslora"]
    assert configs["ranks"]["rank_pattern"] == {"to_v": 6, "up_blocks.*to_q": 2}
    assert configs["ranks"]["alpha_pattern"] == {"to_v": 9, "up_blocks.*to_q": 3}


def _as_comfyui_merges(weights, file):
    """What ComfyUI makes of a file, by comfy/weight_adapter/{lora,lokr,loha,base}.py.

    ``weights`` are under the original's module paths with q, k, v apart, flattened.
    """
    merged = dict(weights)
    for flat, weight in weights.items():
        own = {
            key.removeprefix(f"lora_prior_unet_{flat}."): tensor
            for key, tensor in file.items()
            if key.startswith(f"lora_prior_unet_{flat}.")
        }
        if not own:
            continue
        alpha, rank = own["alpha"].item(), None
        if "lora_up.weight" in own:
            rank = own["lora_down.weight"].shape[0]
            difference = own["lora_up.weight"] @ own["lora_down.weight"]
        elif "hada_w1_a" in own:
            rank = own["hada_w1_b"].shape[0]
            first = own["hada_w1_a"] @ own["hada_w1_b"]
            difference = first * (own["hada_w2_a"] @ own["hada_w2_b"])
        else:
            second = own.get("lokr_w2")
            if second is None:
                rank = own["lokr_w2_b"].shape[0]
                second = own["lokr_w2_a"] @ own["lokr_w2_b"]
            difference = torch.kron(own["lokr_w1"], second)
        whole = weight + difference * (alpha / rank if rank else 1.0)
        if "dora_scale" in own:
            scale = own["dora_scale"]
            assert scale.shape == (weight.shape[0], 1)
            # The base's norm, not the sum's: as ComfyUI has it for scales of the output axis.
            whole = whole * (scale / weight.norm(dim=1, keepdim=True))
        merged[flat] = whole
    return merged


@pytest.mark.parametrize("kind", list(KINDS))
def test_comfyui_merges_every_kind_into_the_weights_that_we_do(prior, tmp_path, kind):
    active, adapter = learnt(KINDS[kind])
    path = tmp_path / "adapter.safetensors"
    base = base_weights(active, adapter.modules)
    save_comfyui(path, with_dora_norm(adapter, "base", base), metadata={})
    weights = {
        comfyui_module(name): prior.get_parameter(f"{name}.weight").detach()
        for name in linear_layers(prior)
    }
    theirs = _as_comfyui_merges(weights, load_file(path))
    ours = merge_adapter(prior.state_dict(), adapter)
    for name in linear_layers(prior):
        expected = ours[f"{name}.weight"]
        assert torch.allclose(theirs[comfyui_module(name)], expected, atol=1e-5), name
    # Every path is one of the original's network (whose q, k, v are one matrix).
    paths = {key.removesuffix(".weight").replace(".", "_") for key in to_original(ours)}
    for key in load_file(path):
        module = key.partition(".")[0].removeprefix("lora_prior_unet_")
        fused = module.replace("_to_q", "_in_proj_weight").replace("_to_k", "_in_proj_weight")
        assert fused.replace("_to_v", "_in_proj_weight") in paths, key


def test_a_dora_file_is_refused_where_its_norm_is_not_the_tools(tmp_path):
    _, adapter = learnt(KINDS["dora"])
    with pytest.raises(AdapterError, match="base's norm"):
        save_comfyui(tmp_path / "adapter.safetensors", adapter, metadata={})
    with pytest.raises(AdapterError, match="give the prior's weights"):
        with_dora_norm(adapter, "base", None)


def test_lycoris_has_no_peft_folder(tmp_path):
    with pytest.raises(AdapterError, match="not loha: write comfyui or kohya"):
        save_peft(tmp_path / "peft", learnt(KINDS["loha"])[1], metadata={})


def test_lycoris_own_module_makes_the_same_weight_of_our_file():
    from lycoris.modules.loha import LohaModule
    from lycoris.modules.lokr import LokrModule

    layers = linear_layers(golden_prior())
    modules = {"lokr": LokrModule, "lokr-4": LokrModule, "lokr-whole": LokrModule}
    for kind, module in (modules | {"loha": LohaModule}).items():
        _, adapter = learnt(KINDS[kind])
        for name, parts in adapter.modules.items():
            num_out, num_in = layers[name]
            layer = torch.nn.Linear(num_in, num_out)
            factor = {"factor": KINDS[kind].factor} if module is LokrModule else {}
            theirs = module(
                name, layer, lora_dim=KINDS[kind].rank, alpha=adapter.alphas[name], **factor
            )
            with torch.no_grad():
                for part, tensor in parts.items():
                    theirs.get_parameter(part).copy_(tensor)
            zero = {f"{name}.weight": torch.zeros(num_out, num_in)}
            only = Adapter(
                {
                    k: v
                    for k, v in adapter.state.items()
                    if k.startswith(f"base_model.model.{name}.")
                },
                adapter.alphas,
            )
            ours = merge_adapter(zero, only)[f"{name}.weight"]
            assert torch.allclose(theirs.get_weight(theirs.shape), ours, atol=1e-6), name


def test_ranks_follow_the_first_pattern_and_keep_alpha_over_rank():
    _, adapter = learnt(KINDS["ranks"])
    ranks = {name: parts["lora_A.weight"].shape[0] for name, parts in adapter.modules.items()}
    assert {rank for name, rank in ranks.items() if name.endswith("to_v")} == {6}
    assert {r for n, r in ranks.items() if n.startswith("up_") and n.endswith("to_q")} == {2}
    assert {r for n, r in ranks.items() if n.startswith("down_") and n.endswith("to_q")} == {4}
    assert adapter.scale == 1.5


def test_patterns_choose_exactly_the_layers_they_match(prior):
    _, adapter = learnt(KINDS["patterns"])
    expected = {
        name
        for name in linear_layers(prior)
        if name == "clip_txt_mapper" or (name.startswith("up_") and name[-4:] in ("to_q", "to_k"))
    }
    assert set(adapter.modules) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "patterns", "patterns": ("to_q", "to_z")}, "lora_target_patterns.*to_z"),
        ({"rank_pattern": (("to_z", 2),)}, "lora_rank_pattern.*to_z"),
        ({"rank_pattern": (("channelwise.0", 2),)}, "lora_rank_pattern.*channelwise"),
        ({"target": "patterns", "patterns": ("to_(q",)}, "no regular expression"),
        ({"rank_pattern": (("to_q", 65),)}, "lora_rank_pattern 65 is larger"),
    ],
)
def test_a_pattern_that_matches_nothing_is_refused_by_name(prior, changes, message):
    with pytest.raises(AdapterError, match=message):
        attach_lora(prior, LoraSettings(rank=4, alpha=4, **changes), generator=seeded())


@pytest.mark.parametrize("kind", ["dora", "lokr", "loha"])
def test_every_kind_trains_on_an_int8_base_under_autocast_with_recomputing(prior, io, kind):
    exact = run(prior, io)
    quantize_base(prior, "int8-torchao")
    trained = attach_lora(prior, KINDS[kind], generator=seeded())
    assert (run(prior, io) - exact).norm() / exact.norm() < 0.05
    prior.train()
    prior.set_dropout(0.0)
    keys = ("x", "r", "clip_text", "clip_text_pooled", "clip_img")
    gradients = []
    for recompute in (False, True):
        prior.gradient_checkpointing = recompute
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = prior(*(io[f"input.{key}"] for key in keys)).float().square().mean()
        loss.backward()
        gradients.append([parameter.grad for parameter in trained.values()])
        prior.zero_grad()
    for first, second in zip(*gradients, strict=True):
        assert torch.equal(first, second)
    assert max(gradient.abs().max() for gradient in gradients[0]) > 0


def test_several_adapters_add_up_by_their_weights_in_any_order(prior):
    base = prior.state_dict()
    lora, dora, loha = (learnt(KINDS[kind], seed=5)[1] for kind in ("lora", "dora", "loha"))
    merged = merge_adapters(base, [(lora, 0.5), (dora, 0.25), (loha, -1.0)])
    backwards = merge_adapters(base, [(loha, -1.0), (dora, 0.25), (lora, 0.5)])
    alone = {0.5: merge_adapter(base, lora), 0.25: merge_adapter(base, dora)}
    alone[-1.0] = merge_adapter(base, loha)
    for key, weight in base.items():
        expected = weight + sum(share * (own[key] - weight) for share, own in alone.items())
        assert torch.allclose(merged[key], expected, atol=1e-5), key
        assert torch.allclose(merged[key], backwards[key], atol=1e-6), key
    assert all(torch.equal(merge_adapters(base, [])[key], base[key]) for key in base)


def test_an_adapter_of_another_network_is_not_merged(prior):
    wide = Adapter.uniform(
        {
            "base_model.model.clip_txt_mapper.lora_A.weight": torch.zeros(2, 7),
            "base_model.model.clip_txt_mapper.lora_B.weight": torch.zeros(64, 2),
        },
        1.0,
    )
    with pytest.raises(AdapterError, match=r"clip_txt_mapper is \[64, 32\]"):
        merge_adapter(prior.state_dict(), wide)
    half = Adapter({key: t for key, t in wide.state.items() if "lora_A" in key}, {})
    with pytest.raises(AdapterError, match="a part is missing"):
        merge_adapter(prior.state_dict(), half)


LEARNING = {
    "lora": (LoraSettings(rank=8, alpha=8, target="all-linear"), 2e-2),
    "dora": (LoraSettings(rank=8, alpha=8, target="all-linear", use_dora=True), 2e-2),
    "lokr": (LoraSettings(rank=8, alpha=8, target="all-linear", algorithm="lokr"), 2e-2),
    "loha": (LoraSettings(rank=8, alpha=8, target="all-linear", algorithm="loha"), 2e-2),
}


@pytest.mark.parametrize("kind", list(LEARNING))
def test_every_kind_learns_four_latents_at_fixed_noise_tenfold(kind):
    """A dead adapter cannot pass: the loss of noise that never changes can be learnt away."""
    settings, lr = LEARNING[kind]
    prior = golden_prior()
    prior.set_dropout(0.0)
    trained = attach_lora(prior, settings, generator=seeded())
    draw = seeded(7)
    latents, noise = (torch.randn(4, 16, 4, 4, generator=draw) for _ in range(2))
    text, pooled = torch.randn(4, 7, 32, generator=draw), torch.randn(4, 1, 32, generator=draw)
    r = torch.tensor([0.2, 0.4, 0.6, 0.8])
    alpha = torch.cos(r * torch.pi / 2)[:, None, None, None]
    noisy = alpha * latents + (1 - alpha.square()).sqrt() * noise
    optimizer = torch.optim.AdamW(trained.values(), lr=lr, weight_decay=0.0)
    losses = []
    for _ in range(120):
        loss = (prior(noisy, r, text, pooled) - noise).square().mean()
        losses.append(loss.item())
        if loss < losses[0] / 10:
            break
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(trained.values()), 1.0)
        optimizer.step()
    assert losses[-1] < losses[0] / 10, losses[::10]
