"""Pictures that look like landscapes, and the same in other bytes."""

import io

import numpy as np
from PIL import Image


def scene(seed: int, size: int = 288) -> np.ndarray:
    """Three bands (bands, rows, columns) with structure at all scales, as landscapes have."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = 1
    waves = frequency**-1.4 * np.exp(2j * np.pi * rng.random(frequency.shape))
    values = np.fft.irfft2(waves, (size, size))
    values = (values - values.min()) / (values.max() - values.min())
    return np.stack([values * 3000 + 500, values**1.2 * 2500 + 300, 2500 - values * 2000]).astype(np.uint16)


def as_jpeg(pixels: np.ndarray) -> np.ndarray:
    """What is left of an image (bands, rows, columns) in JPEG."""
    stored = io.BytesIO()
    eight = np.clip(pixels / 3600 * 255, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    Image.fromarray(eight).save(stored, "JPEG", quality=70)
    return np.asarray(Image.open(stored)).transpose(2, 0, 1)
