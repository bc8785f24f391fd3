"""The encoder's view of a planned photograph: cropped and resized once."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.data.buckets import PlannedImage
from engine.data.decode import PixelError, content_id_of, decode, read_bytes, to_rgb

# Part of a latent's cache key: another way to read pixels is another name.
FILTER_NAME = "pillow-bilinear-antialias-white-v1"


def load_pixels(planned: PlannedImage) -> Tensor:
    """Return the encoder's input [3, H, W] float32 in [0, 1]: one antialiased bilinear resize.

    Raises:
        PixelError: the file is unreadable, or no longer the one that was scanned.
    """
    content = read_bytes(planned.image.path)
    if content_id_of(content) != planned.image.content_id:
        raise PixelError("the file changed after it was scanned: start again")
    image = to_rgb(decode(content))
    small = image.resize(planned.encoder_size, Image.Resampling.BILINEAR, box=planned.crop)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).float().div_(255)
