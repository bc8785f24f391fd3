"""What the adapter's options must satisfy together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from engine.config.context import Context, Rule
from engine.config.problems import Edit, Problem, error, hint, warning


def parse_rank_pattern(text: str) -> tuple[str, int]:
    """Split ``pattern=rank``.

    Raises:
        ValueError: it is not that, or the rank is not from 1 to 1024.
    """
    pattern, found, rank = text.rpartition("=")
    if not found or not pattern or not rank.strip().isdecimal() or not 1 <= int(rank) <= 1024:
        raise ValueError(f'"{text}" is not pattern=rank with a rank from 1 to 1024')
    return pattern.strip(), int(rank)


def adapter(context: Context) -> Iterator[Problem]:
    """Options of the adapter and of the frozen base fit the model type."""
    config = context.config
    if config.model_type == "full" and config.base_model_precision != "no_change":
        edit = Edit("base_model_precision", "no_change")
        yield error(
            edit.key,
            f"{config.base_model_precision} freezes the base, but model_type full trains it",
            "set it to no_change, or model_type to lora",
            edit,
        )
    if config.model_type == "full" and config.init_lora:
        edit = Edit("init_lora", None)
        yield error("init_lora", "model_type full has no adapter to start from", "remove it", edit)
    for key, is_on in (("use_dora", config.use_dora), ("lora_rslora", config.lora_rslora)):
        if config.model_type == "full" and is_on:
            message = "model_type full trains no adapter, so this has no effect"
            yield error(key, message, "set it to false, or model_type to lora", Edit(key, False))
    is_plain = config.model_type == "lora" and not config.lora_rslora
    if is_plain and config.lora_alpha not in (None, config.lora_rank):
        assert config.lora_alpha is not None
        scale = config.lora_alpha / config.lora_rank
        yield hint(
            "lora_alpha",
            f"{config.lora_alpha:g} is not lora_rank {config.lora_rank}: the adapter, and so its "
            f"learning rate, counts {scale:.3g} times",
            f"set it to {config.lora_rank}, unless this is meant",
            Edit("lora_alpha", config.lora_rank),
        )


def adapter_patterns(context: Context) -> Iterator[Problem]:
    """Patterns are used, and are expressions. Whether they match a layer, the prior tells."""
    config = context.config
    is_patterns, key = config.lora_target == "patterns", "lora_target_patterns"
    if is_patterns and not config.lora_target_patterns:
        message = "lora_target is patterns, and there is none"
        yield error(key, message, "give one, such as to_q", Edit(key, ["to_q", "to_k", "to_v"]))
    if not is_patterns and config.lora_target_patterns:
        message = f"lora_target is {config.lora_target}, so the patterns mean nothing"
        edit = Edit("lora_target", "patterns")
        yield error(key, message, "set lora_target to patterns, or remove them", edit)
    patterns = [(key, pattern) for pattern in config.lora_target_patterns]
    for text in config.lora_rank_pattern:
        try:
            patterns.append(("lora_rank_pattern", parse_rank_pattern(text)[0]))
        except ValueError as wrong:
            yield error("lora_rank_pattern", str(wrong), "write it as to_v=32")
    for name, pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as wrong:
            message = f'"{pattern}" is no regular expression: {wrong}'
            yield error(name, message, "escape what is meant literally with a backslash")
        if not pattern:
            yield error(name, "a pattern is empty, and matches nothing", "remove it")


def lycoris(context: Context) -> Iterator[Problem]:
    """LyCORIS has its package, its own formats, and neither DoRA nor rsLoRA here."""
    config = context.config
    if config.lora_type != "lycoris":
        for key, is_set in (
            ("lycoris_algorithm", config.lycoris_algorithm != "lokr"),
            ("lycoris_factor", config.lycoris_factor != -1),
        ):
            if is_set:
                message = "lora_type is standard, so this has no effect"
                yield warning(
                    key, message, "remove it, or set lora_type to lycoris", Edit(key, None)
                )
        return
    if config.model_type == "full":
        message = "model_type full trains no adapter, so lycoris has no effect"
        edit = Edit("lora_type", "standard")
        yield error("lora_type", message, "set it to standard, or model_type to lora", edit)
        return
    if not context.environment.has_package("lycoris"):
        message = "lora_type lycoris needs the package lycoris-lora"
        yield error("lora_type", message, "pip install 'cascade-tui[lycoris]'")
    for key, is_on in (("use_dora", config.use_dora), ("lora_rslora", config.lora_rslora)):
        if is_on:
            message = "is of lora_type standard; lycoris has none of it"
            yield error(key, message, "set it to false, or lora_type to standard", Edit(key, False))
    if config.lycoris_algorithm == "loha" and config.lycoris_factor != -1:
        edit = Edit("lycoris_factor", -1)
        yield error(edit.key, "only lokr has a factor, loha has none", "set it to -1", edit)
    if config.lycoris_factor == 0:
        edit = Edit("lycoris_factor", -1)
        yield error(edit.key, "nothing can be factored by 0", "set it to -1", edit)
    if "peft" in config.export_formats:
        others = [name for name in config.export_formats if name != "peft"] or ["comfyui"]
        edit = Edit("export_formats", others)
        message = f"peft's format does not hold {config.lycoris_algorithm} as LyCORIS makes it"
        yield error(edit.key, message, f"set it to {', '.join(others)}", edit)


ADAPTER_RULES: Sequence[Rule] = (adapter, adapter_patterns, lycoris)
