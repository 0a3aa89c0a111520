"""The table of pages: which there are, in which chapter, and what each is about.

A page is one entry here and one file `pages/<stem>.py`; its stem is its address. Navigation, the home page's
cards and every page's header are drawn from this table, so that nothing is listed that does not work.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import streamlit as st

PROJECT_FOLDER = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Route:
    """One page: its file stem, where it stands, and its topic in two sentences."""

    stem: str
    title: str
    chapter: str
    icon: str
    topic: str
    paper: str = ""
    paper_url: str = ""


HOME = Route(
    stem="home",
    title="CNN Workbench",
    chapter="",
    icon=":material/home:",
    topic="See, use and train convolutional networks on images of your own. "
    "Everything is computed on this machine when you ask for it.",
)

FOUNDATIONS = "1 Foundations"
CASE_STUDIES = "2 Case studies"
PRACTICE = "3 Practice"
OBJECT_DETECTION = "4 Object detection"
APPLICATIONS = "5 Faces and style"

ROUTES: tuple[Route, ...] = (
    HOME,
    Route(
        stem="convolution_playground",
        title="Convolution playground",
        chapter=FOUNDATIONS,
        icon=":material/grid_on:",
        topic="A filter slides over an image; each output number is the sum of the products under it. "
        "Choose an image and a filter, and click any output pixel to see its window.",
        paper="Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning",
        paper_url="https://arxiv.org/abs/1603.07285",
    ),
    Route(
        stem="pooling",
        title="Pooling",
        chapter=FOUNDATIONS,
        icon=":material/compress:",
        topic="A pooling layer keeps one number of each window, its maximum or average, and learns nothing. "
        "See where each maximum came from, and measure what a shift of the input does to the result.",
        paper="LeCun et al. 1998, Gradient-based learning applied to document recognition",
        paper_url="https://doi.org/10.1109/5.726791",
    ),
    Route(
        stem="shapes_and_parameters",
        title="Shapes and parameters",
        chapter=FOUNDATIONS,
        icon=":material/stacks:",
        topic="Stack layers in a table and read the shape, size and parameters of every activation. "
        "A stack that cannot be built is told where it breaks, and why.",
        paper="LeCun et al. 1998, Gradient-based learning applied to document recognition",
        paper_url="https://doi.org/10.1109/5.726791",
    ),
    Route(
        stem="why_convolutions",
        title="Why convolutions",
        chapter=FOUNDATIONS,
        icon=":material/hub:",
        topic="A convolution shares its few weights over the whole image and ties each output to a few inputs only. "
        "Compare it with a fully connected layer of the same shapes: in parameters, connections and under a shift.",
        paper="LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition",
        paper_url="https://doi.org/10.1162/neco.1989.1.4.541",
    ),
    Route(
        stem="architecture_explorer",
        title="Architecture explorer",
        chapter=CASE_STUDIES,
        icon=":material/schema:",
        topic="The networks that made history, layer by layer: what comes out, what is learned and what it costs. "
        "Open a block to see its layers, put networks side by side, and look at what a layer answers to your image.",
        paper="Simonyan & Zisserman 2014, Very deep convolutional networks for large-scale image recognition",
        paper_url="https://arxiv.org/abs/1409.1556",
    ),
    Route(
        stem="residual_networks",
        title="Residual networks",
        chapter=CASE_STUDIES,
        icon=":material/call_merge:",
        topic="A residual block adds its input to what its layers made of it, so that the gradient can pass them by. "
        "Measure what reaches each layer with and without shortcuts, and train both networks side by side.",
        paper="He et al. 2015, Deep residual learning for image recognition",
        paper_url="https://arxiv.org/abs/1512.03385",
    ),
    Route(
        stem="inception",
        title="Inception",
        chapter=CASE_STUDIES,
        icon=":material/account_tree:",
        topic="An Inception module puts 1 × 1, 3 × 3 and 5 × 5 convolutions and pooling side by side and lets the "
        "network choose. Its 1 × 1 convolutions shrink the channels first, which makes it about ten times cheaper.",
        paper="Szegedy et al. 2014, Going deeper with convolutions",
        paper_url="https://arxiv.org/abs/1409.4842",
    ),
    Route(
        stem="training_lab",
        title="Training lab",
        chapter=PRACTICE,
        icon=":material/model_training:",
        topic="Choose pictures, a network and an optimiser, and watch the cost fall. "
        "Then see what the network gets wrong, how its filters changed, and take it home.",
        paper="Kingma & Ba 2014, Adam: a method for stochastic optimization",
        paper_url="https://arxiv.org/abs/1412.6980",
    ),
    Route(
        stem="practical_advice",
        title="Practical advice",
        chapter=PRACTICE,
        icon=":material/tips_and_updates:",
        topic="What helps when pictures are few: features learned elsewhere, more varied pictures, several "
        "networks together. "
        "Measure each against training from scratch, with error bars over seeds.",
        paper="Yosinski et al. 2014, How transferable are features in deep neural networks?",
        paper_url="https://arxiv.org/abs/1411.1792",
    ),
    Route(
        stem="localization",
        title="Localization and landmarks",
        chapter=OBJECT_DETECTION,
        icon=":material/crop_free:",
        topic="A network can answer not only what is there but where: a box, or points, as a few more numbers. "
        "Draw a box, read its target vector, and watch a small network learn to localize.",
        paper="Sermanet et al. 2014, OverFeat: integrated recognition, localization and detection",
        paper_url="https://arxiv.org/abs/1312.6229",
    ),
    Route(
        stem="sliding_windows",
        title="Sliding windows",
        chapter=OBJECT_DETECTION,
        icon=":material/select_all:",
        topic="A classifier looks through a window that slides over the image; run as a convolution it answers for "
        "all windows at once. "
        "See both give the same scores, and measure what each costs.",
        paper="Sermanet et al. 2014, OverFeat: integrated recognition, localization and detection",
        paper_url="https://arxiv.org/abs/1312.6229",
    ),
    Route(
        stem="yolo_detection",
        title="YOLO detection",
        chapter=OBJECT_DETECTION,
        icon=":material/center_focus_strong:",
        topic="One look at a photograph gives every object its box: the network answers for all cells of a grid at "
        "once. Move confidence and IoU, and follow non-max suppression from many boxes to one an object.",
        paper="Redmon et al. 2016, You only look once: unified, real-time object detection",
        paper_url="https://arxiv.org/abs/1506.02640",
    ),
    Route(
        stem="region_proposals",
        title="Region proposals",
        chapter=OBJECT_DETECTION,
        icon=":material/bubble_chart:",
        topic="R-CNN classifies a few promising regions in place of every window; Fast and Faster R-CNN share the "
        "work between them. "
        "Run all three and YOLO on one photograph, with the time of every stage.",
        paper="Ren et al. 2015, Faster R-CNN: towards real-time object detection with region proposal networks",
        paper_url="https://arxiv.org/abs/1506.01497",
    ),
    Route(
        stem="face_verification",
        title="Face verification",
        chapter=APPLICATIONS,
        icon=":material/how_to_reg:",
        topic="Are these two photographs of the same person? A network turns each face into an encoding, and the "
        "distance decides. "
        "Move the threshold, and see how often it errs.",
        paper="Taigman et al. 2014, DeepFace: closing the gap to human-level performance",
        paper_url="https://doi.org/10.1109/CVPR.2014.220",
    ),
    Route(
        stem="face_recognition",
        title="Face recognition",
        chapter=APPLICATIONS,
        icon=":material/groups:",
        topic="Who is this, of the persons that one photograph each was enrolled of, or nobody of them? "
        "Nothing leaves this machine, and delete means gone.",
        paper="Schroff et al. 2015, FaceNet: a unified embedding for face recognition and clustering",
        paper_url="https://arxiv.org/abs/1503.03832",
    ),
    Route(
        stem="face_similarity",
        title="Learning similarity",
        chapter=APPLICATIONS,
        icon=":material/join_inner:",
        topic="A Siamese network learns encodings in which the same is near and the different far, from triplets "
        "or from pairs. "
        "Watch the map of the encodings move while it trains, and read error rates against the threshold.",
        paper="Schroff et al. 2015, FaceNet: a unified embedding for face recognition and clustering",
        paper_url="https://arxiv.org/abs/1503.03832",
    ),
    Route(
        stem="style_transfer",
        title="Style transfer",
        chapter=APPLICATIONS,
        icon=":material/palette:",
        topic="The content of one image in the style of another: gradient descent on the pixels, with a cost for each. "
        "Watch the picture form, weigh the parts of the cost, or let a feed-forward network answer at once.",
        paper="Gatys et al. 2015, A neural algorithm of artistic style",
        paper_url="https://arxiv.org/abs/1508.06576",
    ),
    Route(
        stem="learned_features",
        title="What a network learns",
        chapter=APPLICATIONS,
        icon=":material/visibility:",
        topic="What makes a unit of a network answer most: patches of photographs, or an image made for it. "
        "Go from edges in the first layer to parts of objects in the deep ones, on your own pictures.",
        paper="Zeiler & Fergus 2013, Visualizing and understanding convolutional networks",
        paper_url="https://arxiv.org/abs/1311.2901",
    ),
)


@cache
def route(stem: str) -> Route:
    """The entry of a page by its file stem."""
    for entry in ROUTES:
        if entry.stem == stem:
            return entry
    raise KeyError(f"No page is called {stem!r}; pages are {', '.join(entry.stem for entry in ROUTES)}")


def page_file(entry: Route) -> Path:
    """Where the page's script stands."""
    return PROJECT_FOLDER / "pages" / f"{entry.stem}.py"


def available_routes() -> tuple[Route, ...]:
    """The entries whose script is there."""
    return tuple(entry for entry in ROUTES if page_file(entry).is_file())


def page(entry: Route) -> "st.Page":
    """The Streamlit page of an entry, for navigation and links."""
    return st.Page(
        page_file(entry),
        title="Home" if entry is HOME else entry.title,
        icon=entry.icon,
        url_path=None if entry is HOME else entry.stem,
        default=entry is HOME,
    )


def navigation_by_chapter() -> dict[str, list["st.Page"]]:
    """What `st.navigation` takes: pages in their chapters, in the table's order."""
    chapters: dict[str, list[st.Page]] = {}
    for entry in available_routes():
        chapters.setdefault(entry.chapter, []).append(page(entry))
    return chapters
