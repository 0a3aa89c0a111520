"""Sample pictures that are always there: photographs from scikit-image and scikit-learn, and drawn scenes.

The photographs are read from the installed packages' folders, without importing the packages and without a
network. Arrays are read-only RGB uint8 `(H, W, 3)`; grey photographs have three equal channels.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from core.runtime.images import decode_image
from core.runtime.scenes import SCENES

Pixels = npt.NDArray[np.uint8]

MEGAPIXEL_SIZE_PX = (1152, 864)  # 995,328 pixels, 4 : 3


@dataclass(frozen=True)
class Sample:
    """A sample picture: where it comes from, who made it, and how it may be used.

    `path` is its file inside the installed package; empty for a scene.
    """

    name: str
    label: str
    source: str
    licence: str
    credit: str
    kind: Literal["photograph", "scene"]
    path: str = ""


SCIKIT_IMAGE, SCIKIT_LEARN = "scikit-image", "scikit-learn"
FOLDERS = {SCIKIT_IMAGE: ("skimage", "data"), SCIKIT_LEARN: ("sklearn", "datasets/images")}
CC0, PUBLIC_DOMAIN, CC_BY = "CC0", "Public domain", "CC BY 2.0"


def _photograph(name: str, label: str, path: str, licence: str, credit: str, source: str = SCIKIT_IMAGE) -> Sample:
    return Sample(name, label, source, licence, credit, "photograph", path)


def _scene(name: str, label: str) -> Sample:
    return Sample(name, label, "CNN Workbench", CC0, "Drawn by CNN Workbench", "scene")


# Credits and licences as the two packages state them (the docstrings of skimage.data, sklearn's README.txt).
_ALL = (
    _photograph("astronaut", "Astronaut", "astronaut.png", PUBLIC_DOMAIN, "NASA"),
    _photograph("chelsea", "Chelsea the cat", "chelsea.png", CC0, "Stéfan van der Walt"),
    _photograph("coffee", "Coffee cup", "coffee.png", CC0, "Rachel Michetti, Pikolo Espresso Bar"),
    _photograph(
        "motorcycle",
        "Motorcycle",
        "motorcycle_left.png",
        "As scikit-image distributes it",
        "Scharstein et al., Middlebury Stereo Datasets 2014",
    ),
    _photograph("rocket", "Rocket launch", "rocket.jpg", PUBLIC_DOMAIN, "SpaceX"),
    _photograph("china", "Chinese temple", "china.jpg", CC_BY, "danielbuechele, Flickr", SCIKIT_LEARN),
    _photograph("flower", "Flower", "flower.jpg", CC_BY, "vultilion, Flickr", SCIKIT_LEARN),
    _photograph("camera", "Cameraman (grey)", "camera.png", CC0, "Lav Varshney"),
    _photograph("coins", "Greek coins (grey)", "coins.png", "No known restrictions", "Brooklyn Museum"),
    _photograph("text", "Handwritten text (grey)", "text.png", PUBLIC_DOMAIN, "Wikipedia"),
    _photograph("page", "Printed page (grey)", "page.png", "As scikit-image distributes it", "scikit-image"),
    _photograph("moon", "Surface of the moon (grey)", "moon.png", "As scikit-image distributes it", "scikit-image"),
    _photograph("brick", "Brick wall (grey)", "brick.png", CC0, "CC0Textures"),
    _photograph("grass", "Grass (grey)", "grass.png", CC0, "linolafett, DeviantArt"),
    _photograph("hubble_deep_field", "Hubble deep field", "hubble_deep_field.jpg", PUBLIC_DOMAIN, "NASA"),
    _photograph("retina", "Human retina", "retina.jpg", CC0, "Mikael Häggström, Wikimedia Commons"),
    _photograph(
        "immunohistochemistry",
        "Stained tissue",
        "ihc.png",
        "No known restrictions",
        "Center for Microscopy and Molecular Imaging",
    ),
    _scene("shapes", "Shapes (drawn)"),
    _scene("street", "Street (drawn)"),
    _scene("gratings", "Gratings (drawn)"),
    _scene("checkerboard", "Checkerboard (drawn)"),
    _scene("step_and_ramp", "Steps and ramps (drawn)"),
    _scene("zone_plate", "Zone plate (drawn)"),
)
SAMPLES: dict[str, Sample] = {sample.name: sample for sample in _ALL}


@lru_cache(maxsize=len(_ALL))
def load_sample(name: str) -> Pixels:
    """Load a sample as read-only RGB uint8 `(H, W, 3)`.

    Raises:
        KeyError: there is no sample of that name.
        FileNotFoundError: the package that carries it is not installed.

    >>> load_sample("astronaut").shape
    (512, 512, 3)
    """
    sample = _find(name)
    if sample.kind == "photograph":
        return decode_image(_locate(sample).read_bytes()).pixels
    pixels = SCENES[name](512, 512)
    pixels.setflags(write=False)
    return pixels


@lru_cache(maxsize=2)
def megapixel(name: str) -> Pixels:
    """Make a sample 1152 x 864 pixels large (0.995 megapixels), as the benchmarks use it, read-only.

    Scenes are drawn at that size; photographs are cropped to 4 : 3 about their middle and scaled.

    Raises:
        KeyError: there is no sample of that name.
    """
    width, height = MEGAPIXEL_SIZE_PX
    if _find(name).kind == "scene":
        pixels = SCENES[name](width, height)
    else:
        photograph = load_sample(name)
        rows, columns = photograph.shape[:2]
        kept_rows, kept_columns = min(rows, columns * height // width), min(columns, rows * width // height)
        top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
        cropped = photograph[top : top + kept_rows, left : left + kept_columns]
        interpolation = cv2.INTER_AREA if kept_columns > width else cv2.INTER_CUBIC
        pixels = cv2.resize(cropped, (width, height), interpolation=interpolation).astype(np.uint8, copy=False)
    pixels.setflags(write=False)
    return pixels


def _find(name: str) -> Sample:
    if name not in SAMPLES:
        raise KeyError(f"expected one of {', '.join(SAMPLES)}, received {name!r}")
    return SAMPLES[name]


def _locate(sample: Sample) -> Path:
    package, folder = FOLDERS[sample.source]
    # Finding a package does not run it: importing scikit-learn takes a second.
    specification = find_spec(package)
    if specification is None or specification.origin is None:
        raise FileNotFoundError(f"the sample {sample.name} belongs to {sample.source}, which is not installed")
    return Path(specification.origin).parent / folder / sample.path
