import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from factory_pipeline.imagery.orientation import turn_upright


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_picture_is_turned_as_pillow_turns_it(orientation: int) -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    stored, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(stored, "PNG", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(stored)))
    turned = turn_upright(pixels.transpose(2, 0, 1), orientation)
    np.testing.assert_array_equal(turned.transpose(1, 2, 0), expected)
