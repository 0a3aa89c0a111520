"""The home page's small pictures: each is computed from the core of its page, once a server."""

from collections.abc import Callable

import cv2
import numpy as np
import streamlit as st

from core.architectures.catalog import CATALOG
from core.convolution.display import clipped_to_rgb, signed_to_rgb
from core.convolution.equivalence import toeplitz_matrix
from core.convolution.filters import filter_kernel
from core.convolution.geometry import receptive_field
from core.convolution.operation import ConvolutionSettings, convolve, luminance
from core.convolution.pooling import pool
from core.detection.drawing import draw_box, draw_detections, draw_dots, draw_grid, draw_outlines
from core.detection.evaluation import ImageDetections
from core.detection.localization import vector_box
from core.detection.sliding_windows import window_box
from core.detection.suppression import non_max_suppression
from core.faces.alignment import TEMPLATE_112, align
from core.faces.disturbances import changed
from core.faces.similarity_data import draw_person
from core.interpretation.mosaics import patch_wall
from core.interpretation.top_patches import strongest_patches
from core.interpretation.types import LayerField
from core.interpretation.views import cut_views
from core.runtime.images import display_jpeg, fit_within
from core.runtime.samples import load_sample
from core.style.drawn_styles import kept_style
from core.training.experiments.crops import ten_crops

HEIGHT_PX, WIDTH_PX = 180, 320
INDIGO = (99, 102, 241)


def _window(name: str) -> np.ndarray:
    """The sample's middle in the thumbnail's shape, (180, 320, 3)."""
    pixels = fit_within(load_sample(name), 420)
    top, left = (pixels.shape[0] - HEIGHT_PX) // 2, (pixels.shape[1] - WIDTH_PX) // 2
    return np.ascontiguousarray(pixels[top : top + HEIGHT_PX, left : left + WIDTH_PX])


def _convolution() -> np.ndarray:
    pixels = _window("astronaut")
    edges = signed_to_rgb(
        convolve(
            luminance(pixels), filter_kernel("sobel_vertical"), ConvolutionSettings(padding="same", border="reflect")
        )
    )
    half = WIDTH_PX // 2
    return np.concatenate([pixels[:, :half], edges[:, half:]], axis=1)  # (180, 160 + 160, 3)


def _pooling() -> np.ndarray:
    pixels = _window("chelsea")
    pooled = pool(pixels, 10, 10, "max").output.astype(np.uint8)  # (18, 32, 3)
    blocks = np.repeat(np.repeat(pooled, 10, axis=0), 10, axis=1)  # (180, 320, 3)
    half = WIDTH_PX // 2
    return np.concatenate([pixels[:, :half], blocks[:, half:]], axis=1)


def _shapes() -> np.ndarray:
    """Receptive fields of a growing stack, as nested frames on a picture."""
    pixels = _window("coffee").copy()
    centre_row, centre_column = HEIGHT_PX // 2, WIDTH_PX // 2
    for index, field in enumerate(receptive_field([(5, 1), (2, 2), (5, 1), (2, 2), (5, 1), (2, 2), (5, 1)])):
        reach = field.size
        colour = ((251, 191, 36), (99, 102, 241))[index % 2]
        top, bottom = max(0, centre_row - reach), min(HEIGHT_PX - 1, centre_row + reach)
        left, right = max(0, centre_column - reach), min(WIDTH_PX - 1, centre_column + reach)
        pixels[[top, bottom], left : right + 1] = colour
        pixels[top : bottom + 1, [left, right]] = colour
    return pixels


def _why() -> np.ndarray:
    matrix = toeplitz_matrix(filter_kernel("sobel_vertical"), 10, 16, ConvolutionSettings(padding="same"))
    dense = np.asarray(matrix.todense() if hasattr(matrix, "todense") else matrix)  # (160, 160)
    shown = signed_to_rgb(dense.astype(np.float32))
    canvas = np.full((HEIGHT_PX, WIDTH_PX, 3), shown[0, -1], dtype=np.uint8)
    canvas[10:170, 80:240] = shown
    return canvas


def _explorer() -> np.ndarray:
    """Depth of networks of the catalogue as towers, a storey a layer with weights."""
    canvas = np.full((HEIGHT_PX, WIDTH_PX, 3), (30, 34, 56), dtype=np.uint8)
    towers = [CATALOG[name] for name in ("lenet5", "alexnet", "vgg16", "googlenet", "resnet34", "resnet50")]
    pitch = (HEIGHT_PX - 24) // max(tower.depth for tower in towers)
    for index, tower in enumerate(towers):
        left = 22 + index * 48
        for storey in range(tower.depth):
            bottom = HEIGHT_PX - 12 - storey * pitch
            colour = ((99, 102, 241), (20, 184, 166), (245, 158, 11))[index % 3]
            canvas[bottom - pitch + 1 : bottom, left : left + 34] = colour
    return canvas


def _residual() -> np.ndarray:
    """A photograph, what a filter adds to it, and their sum: a residual block in three strips."""
    pixels = _window("rocket")
    grey = luminance(pixels)
    change = convolve(grey, filter_kernel("laplacian"), ConvolutionSettings(padding="same", border="reflect"))
    strips = (clipped_to_rgb(grey), signed_to_rgb(change), clipped_to_rgb(grey - change))
    edges = (0, WIDTH_PX // 3, 2 * WIDTH_PX // 3, WIDTH_PX)
    return np.concatenate([strip[:, edges[i] : edges[i + 1]] for i, strip in enumerate(strips)], axis=1)


def _inception() -> np.ndarray:
    """Four branches on one picture: as it is, two sizes of filter, and pooling, side by side."""
    pixels = _window("flower")
    settings = ConvolutionSettings(padding="same", border="reflect")
    branches = (
        pixels,
        clipped_to_rgb(convolve(pixels, filter_kernel("sharpen"), settings)),
        clipped_to_rgb(convolve(pixels, filter_kernel("gaussian", 15, sigma=4.0), settings)),
        np.repeat(np.repeat(pool(pixels, 10, 10, "max").output.astype(np.uint8), 10, axis=0), 10, axis=1),
    )
    quarter = WIDTH_PX // 4
    return np.concatenate([branch[:, i * quarter : (i + 1) * quarter] for i, branch in enumerate(branches)], axis=1)


def _lab() -> np.ndarray:
    """The path of gradient descent with momentum down a narrow valley, over lines of equal cost."""
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    across, along = (y - 0.56 * HEIGHT_PX) / 60.0, (x - 0.72 * WIDTH_PX) / 190.0
    cost = across**2 + along**2  # (180, 320)
    shade = (np.sqrt(cost) * 9).astype(int) % 2
    canvas = np.where(shade[..., None] == 1, (38, 43, 76), (30, 34, 56)).astype(np.uint8)
    place, speed = np.array([-1.1, -1.1]), np.zeros(2)
    points = [place.copy()]
    for _ in range(60):
        gradient = 2 * place / np.array([60.0, 190.0]) ** 2 * 3600  # steep across, flat along
        speed = 0.8 * speed - 0.06 * gradient
        place = place + speed
        points.append(place.copy())
    path = np.array(points) * (60.0, 190.0) + (0.56 * HEIGHT_PX, 0.72 * WIDTH_PX)
    corners = [np.round(path[:, ::-1] * 8).astype(np.int32)]
    cv2.polylines(canvas, corners, False, (245, 158, 11), 2, cv2.LINE_AA, 3)
    return canvas


def _advice() -> np.ndarray:
    """The ten crops of a photograph: corners and middle, and their mirror images."""
    pixels = fit_within(load_sample("chelsea"), 160)
    crops = ten_crops(pixels[None], 84)[0]
    canvas = np.full((HEIGHT_PX, WIDTH_PX, 3), (30, 34, 56), dtype=np.uint8)
    side, gap = 58, 4
    for index, crop in enumerate(crops):
        top = 28 + index // 5 * (side + gap)
        left = 7 + index % 5 * (side + gap)
        canvas[top : top + side, left : left + side] = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return canvas


def _yolo() -> np.ndarray:
    """Boxes around a motorcycle before suppression, thin, and the one that suppression keeps, on a grid."""
    pixels = _window("motorcycle").copy()
    draw_grid(pixels, 45.0)
    rng = np.random.default_rng(4)
    boxes = np.array([22.0, 16.0, 272.0, 164.0]) + rng.normal(0, 8, (6, 4))
    scores = np.linspace(0.9, 0.3, len(boxes))
    keep = non_max_suppression(boxes, scores).keep
    ids = np.full(len(boxes), 4)
    draw_outlines(pixels, boxes, ids)
    return draw_detections(pixels, ImageDetections(boxes[keep], ids[keep], scores[keep]), ("motorcycle",) * 5)


def _regions() -> np.ndarray:
    """A motorcycle in flat blobs of colour, with boxes around some of them."""
    pixels = _window("motorcycle")
    blobs = cv2.pyrMeanShiftFiltering(np.ascontiguousarray(pixels), 18, 40)
    boxes = np.array([[22, 16, 272, 164], [18, 62, 92, 158], [196, 84, 276, 168], [60, 40, 210, 112]])
    draw_outlines(blobs, boxes, np.arange(len(boxes)))
    return np.asarray(blobs, np.uint8)


# The five points that MTCNN finds in the sample photograph of the astronaut.
ASTRONAUT_POINTS = np.array([[203, 101], [246, 102], [225, 127], [201, 139], [244, 140]], np.float32)


def _verification() -> np.ndarray:
    """One face twice, as it is and changed, both aligned; below, how far the two lie apart column by column."""
    canvas = np.full((HEIGHT_PX, WIDTH_PX, 3), (30, 34, 56), dtype=np.uint8)
    face = align(load_sample("astronaut"), ASTRONAUT_POINTS, TEMPLATE_112, 112)
    other = changed(face, "dark")[:, ::-1]
    for left, crop in ((30, face), (178, other)):
        canvas[22:134, left : left + 112] = crop
        for x, y in TEMPLATE_112.round().astype(int).tolist():
            cv2.circle(canvas, (left + x, 22 + y), 3, (245, 158, 11), cv2.FILLED, cv2.LINE_AA)
    apart = np.abs(face.astype(np.float32) - other).mean(axis=(0, 2)).reshape(16, 7).mean(axis=1)  # (112,) -> (16,)
    for index, value in enumerate(apart):
        height = round(4 + 22 * float(value / apart.max()))
        left = 34 + index * 16
        canvas[166 - height : 166, left : left + 10] = (20, 184, 166)
    return canvas


def _recognition() -> np.ndarray:
    """A face among enrolled ones: who lies within tau is ringed, the others are too far away."""
    canvas = np.full((HEIGHT_PX, WIDTH_PX, 3), (30, 34, 56), dtype=np.uint8)
    places = np.random.default_rng(8).normal(0, 1, (40, 2)) * (WIDTH_PX / 4.2, HEIGHT_PX / 3.4)
    middle, tau_px = np.array([WIDTH_PX / 2, HEIGHT_PX / 2]), 62
    distances = np.linalg.norm(places, axis=1)
    nearest = int(np.abs(distances - 52).argmin())
    for index, (x, y) in enumerate((places + middle).round().astype(int).tolist()):
        if distances[index] > tau_px or index == nearest:
            colour = (20, 184, 166) if index == nearest else (99, 104, 140)
            cv2.circle(canvas, (x, y), 8 if index == nearest else 5, colour, cv2.FILLED, cv2.LINE_AA)
    centre = (WIDTH_PX // 2, HEIGHT_PX // 2)
    cv2.circle(canvas, centre, tau_px, (245, 158, 11), 2, cv2.LINE_AA)
    face = align(load_sample("astronaut"), ASTRONAUT_POINTS, TEMPLATE_112 * (76 / 112), 76)
    round_mask = np.zeros((76, 76), np.uint8)
    cv2.circle(round_mask, (38, 38), 36, 255, cv2.FILLED)
    part = canvas[centre[1] - 38 : centre[1] + 38, centre[0] - 38 : centre[0] + 38]
    part[round_mask > 0] = face[round_mask > 0]
    return canvas


def _localization() -> np.ndarray:
    """A box to learn, dashed, and a prediction of it, with their midpoints."""
    pixels = _window("motorcycle").copy()
    for vector, colour, dashed in (
        ((0.5, 0.56, 0.74, 0.8), (34, 197, 94), True),
        ((0.55, 0.6, 0.6, 0.7), INDIGO, False),
    ):
        box = np.array(vector_box(np.array([1.0, *vector]), (WIDTH_PX, HEIGHT_PX)))
        draw_box(pixels, box, colour, 3, dashed=dashed)
        draw_dots(pixels, np.array([[vector[0] * WIDTH_PX, vector[1] * HEIGHT_PX]]), [colour])
    return pixels


def _sliding_windows() -> np.ndarray:
    """Windows of two sizes of the pyramid, and a row of them one stride apart."""
    pixels = _window("chelsea").copy()
    for column in range(0, 24, 4):
        draw_box(pixels, np.array(window_box(2, column, 1.0)), (147, 197, 253), 1)
    draw_box(pixels, np.array(window_box(2, 12, 1.0)), (245, 158, 11), 3)
    draw_box(pixels, np.array(window_box(1, 7, 0.5)), INDIGO, 3)
    return pixels


def _style() -> np.ndarray:
    """A cat that turns into the brush strokes that it is to be painted in."""
    cat, strokes = _window("chelsea"), kept_style("night_strokes")
    strokes = np.asarray(cv2.resize(strokes, (320, 320), interpolation=cv2.INTER_AREA), np.uint8)[70:250]
    seam = np.clip((np.arange(320) - 160) / 90 + 0.5 + 0.25 * np.sin(np.arange(180) / 14)[:, None], 0, 1)[..., None]
    return np.asarray(cat * (1 - seam) + strokes * seam, np.uint8)


def _similarity() -> np.ndarray:
    """Persons that the page draws, a row each: what an encoder has to see through."""
    rng = np.random.default_rng(5)
    rows = []
    for _ in range(3):
        traits = rng.random(12)
        rows.append(np.concatenate([draw_person(traits, rng) for _ in range(5)], axis=1))  # (32, 160, 3)
    persons = np.concatenate(rows, axis=0)  # (96, 160, 3)
    return np.ascontiguousarray(cv2.resize(persons, (WIDTH_PX, 192), interpolation=cv2.INTER_LINEAR)[6:186])


def _features() -> np.ndarray:
    """The patches of a photograph that most excite eight edge filters, found as the page finds them."""
    kernels = [
        np.rot90(filter_kernel(name), turns) for name in ("sobel_vertical", "prewitt_vertical") for turns in range(4)
    ]
    side = 120
    views = [
        view for name in ("astronaut", "coffee", "chelsea", "rocket") for view in cut_views(load_sample(name), side)
    ]

    def read(batch: np.ndarray) -> np.ndarray:
        grey = batch.mean(axis=3) / 255.0
        maps = [[cv2.filter2D(picture, cv2.CV_32F, kernel)[8:-8, 8:-8] for kernel in kernels] for picture in grey]
        return np.maximum(np.moveaxis(np.asarray(maps, np.float32), 1, -1), 0)

    field = LayerField("edges", side - 16, side - 16, 8, size_px=17, stride_px=1, offset_px=0)
    wall = patch_wall(strongest_patches(read, views, field, range(8)), columns=4, patch_px=24, background=236)
    canvas = np.full((HEIGHT_PX, WIDTH_PX, 3), 236, np.uint8)
    shown = cv2.resize(wall.pixels, (WIDTH_PX - 16, (WIDTH_PX - 16) * wall.pixels.shape[0] // wall.pixels.shape[1]))
    top = (HEIGHT_PX - shown.shape[0]) // 2
    canvas[top : top + shown.shape[0], 8:-8] = shown
    return canvas


MAKERS: dict[str, Callable[[], np.ndarray]] = {
    "convolution_playground": _convolution,
    "pooling": _pooling,
    "shapes_and_parameters": _shapes,
    "why_convolutions": _why,
    "architecture_explorer": _explorer,
    "residual_networks": _residual,
    "inception": _inception,
    "training_lab": _lab,
    "practical_advice": _advice,
    "localization": _localization,
    "sliding_windows": _sliding_windows,
    "yolo_detection": _yolo,
    "region_proposals": _regions,
    "style_transfer": _style,
    "face_verification": _verification,
    "face_recognition": _recognition,
    "face_similarity": _similarity,
    "learned_features": _features,
}


@st.cache_data(max_entries=32, show_spinner=False)
def thumbnail(stem: str) -> bytes | None:
    """The JPEG of a page's small picture (180 x 320), or None where a page has none."""
    maker = MAKERS.get(stem)
    return None if maker is None else display_jpeg(maker())
