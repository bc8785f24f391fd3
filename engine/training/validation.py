"""Validation pictures of a run: drawn, written below ``validation/``, reported and tracked."""

from __future__ import annotations

from PIL import Image

from engine.models.prior import StableCascadePrior
from engine.training.painting import Draw, Painter, ValidationPrompt, save_png
from engine.training.session import Session

NEGATIVE = "negative"


class Validator:
    """Draws the validation prompts, none at first, with the prior as it is."""

    def __init__(self, session: Session, painter: Painter) -> None:
        self.session = session
        self.painter = painter
        config = session.config
        seed = config.validation_seed
        first = config.seed if seed is None else seed
        self.seeds = range(first, first + config.validation_num_seeds)
        self.draws: tuple[Draw, ...] = ()

    def draw(self, prompts: tuple[ValidationPrompt, ...]) -> None:
        """Draw these from now on, and no others."""
        self.draws = tuple(Draw(prompt, seed) for prompt in prompts for seed in self.seeds)

    def run(self, prior: StableCascadePrior, step: int) -> None:
        """Write the pictures of ``step`` and report each as it is there; ends early on a stop."""
        images = self.painter.paint(
            prior, self.draws, lambda draw, image, kind: self._write(image, draw, step, kind)
        )
        named = {
            draw.prompt.name if len(self.seeds) == 1 else f"{draw.prompt.name}-{draw.seed}": image
            for draw, image in images.items()
        }
        if named:
            self.session.track_images(named, step=step)

    def _write(self, image: Image.Image, draw: Draw, step: int, kind: str) -> None:
        is_decoded = self.session.config.stable_cascade_use_decoder_for_validation
        suffix = "-preview" if is_decoded and kind == "preview" else ""
        folder = self.session.run.validation_dir(step)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{draw.file_stem}{suffix}.png"
        save_png(image, path, self.painter.metadata(draw, step, kind))
        self.session.reporter.emit(
            "image",
            step=step,
            prompt=draw.prompt.name,
            text=draw.prompt.text,
            path=path.relative_to(self.session.run.root).as_posix(),
            seed=draw.seed,
            width=image.width,
            height=image.height,
            source=kind,
        )
