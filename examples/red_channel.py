"""The gradient of an image, as a picture: pooling, then the red channel.

Each output is the greatest red of a 4 by 4 window, so the gradient is 1 at that pixel's red and 0
everywhere else. Uploads the net to a running service and writes image and gradient side by side.

    python examples/red_channel.py --url http://127.0.0.1:8000 docs/pictures/red-channel.png
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from portgrad.samples import red
from portgrad_client import Client, Net, NetPortGradient

SIZE = (192, 128)


def scene() -> Image.Image:
    """A landscape that the project drew itself: sky, sun, hills, a red house, some flowers."""
    width, height = SIZE
    picture = Image.new("RGB", SIZE)
    draw = ImageDraw.Draw(picture)
    for y in range(height):
        draw.line([(0, y), (width, y)], fill=(90 + y // 2, 140 + y // 2, 235 - y // 4))
    draw.ellipse([140, 12, 168, 40], fill=(255, 214, 92))
    draw.ellipse([-60, 70, 120, 200], fill=(70, 128, 62))
    draw.ellipse([70, 82, 260, 220], fill=(96, 152, 70))
    draw.rectangle([40, 62, 78, 92], fill=(178, 58, 46))
    draw.polygon([(34, 64), (59, 44), (84, 64)], fill=(98, 42, 36))
    draw.rectangle([54, 74, 64, 92], fill=(70, 44, 30))
    rng = np.random.default_rng(4)
    for x, y in zip(rng.integers(0, width, 60), rng.integers(96, height, 60), strict=True):
        fill = (225, 60 + int(x) % 90, 70) if x % 3 else (240, 225, 120)
        draw.ellipse([int(x), int(y), int(x) + 3, int(y) + 3], fill=fill)
    return picture.filter(ImageFilter.GaussianBlur(0.6))


def as_input(picture: Image.Image) -> np.ndarray:
    """The picture as (1, 3, height, width), float32 from 0 to 1."""
    pixels = np.asarray(picture, np.float32) / 255.0
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def rendered(gradient: np.ndarray) -> Image.Image:
    """A gradient of shape (1, 3, height, width) as a picture: 0 is black, the greatest is full."""
    channels = np.abs(gradient[0]) / max(float(np.abs(gradient).max()), 1e-30)
    return Image.fromarray((channels.transpose(1, 2, 0) * 255.0).round().astype(np.uint8))


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures of one size, with a white seam."""
    width, height = left.size
    both = Image.new("RGB", (2 * width + 8, height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (width + 8, 0))
    return both


def gradient_of(net: Net, picture: Image.Image) -> np.ndarray:
    """The gradient of the summed output at the picture."""
    gradient: np.ndarray = net(as_input(picture), NetPortGradient("Input"))
    return gradient


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="http://127.0.0.1:8000")
    arguments.add_argument("output")
    given = arguments.parse_args()
    with Client(given.url) as client:
        found = gradient_of(client.upload(red(), name="red"), scene())
    side_by_side(scene(), rendered(found)).resize((784, 256), Image.Resampling.NEAREST).save(
        given.output
    )
    print(f"{np.count_nonzero(found)} of {found.size} numbers are not zero; see {given.output}")
