"""What rules look at, and what several of them say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from engine.config.backends import Backend, ImageBackend, TextEmbedBackend
from engine.config.environment import Environment
from engine.config.fields import TrainingConfig
from engine.config.problems import Problem, warning
from engine.config.resolution import Resolution

_MIN_TRAINED_PX, _MAX_TRAINED_PX = 512, 1536
_MAX_ASPECT = 2.0


@dataclass(frozen=True, slots=True)
class Context:
    """What rules look at; ``given`` are the options that the person set."""

    config: TrainingConfig
    backends: tuple[Backend, ...]
    prompts: Mapping[str, str]
    environment: Environment
    given: frozenset[str] = frozenset()

    @property
    def image_backends(self) -> tuple[ImageBackend, ...]:
        return tuple(b for b in self.backends if isinstance(b, ImageBackend))

    @property
    def text_backends(self) -> tuple[TextEmbedBackend, ...]:
        return tuple(b for b in self.backends if isinstance(b, TextEmbedBackend))


Rule = Callable[[Context], Iterator[Problem]]


def trained_range(key: str, value: Resolution) -> Iterator[Problem]:
    """Warn of sizes that Stage C has never seen: it was trained at 1024 x 1024 px, up to 2:1."""
    smallest, largest = sorted((value.width, value.height))
    if smallest < _MIN_TRAINED_PX or largest > _MAX_TRAINED_PX:
        yield warning(
            key,
            f"{value} lies outside the sizes Stage C was trained on "
            f"({_MIN_TRAINED_PX} to {_MAX_TRAINED_PX} px)",
            "stay near 1024x1024",
        )
    if largest / smallest > _MAX_ASPECT:
        yield warning(
            key, f"{value} is more stretched than 2:1, beyond what Stage C was trained on"
        )
