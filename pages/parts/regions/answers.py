"""What is worked out about a picture, once, as jobs that begin by themselves: sliders work on kept answers."""

from collections.abc import Callable

from core.detection import region_tasks
from core.detection.proposals import SearchResult, strategies_at
from core.detection.rcnn.results import FormAnswer
from core.detection.region_tasks import SharedFeatures
from pages.parts.image_input import ChosenImage
from pages.parts.kept_jobs import kept_job

DEFAULT_SCALE = 50
Draw = Callable[[], None] | None


def searched(image: ChosenImage, scale: int = DEFAULT_SCALE, draw_waiting: Draw = None) -> SearchResult | None:
    """Selective search on a picture; None while it runs or after it failed. Not to be changed."""
    return kept_job(
        "regions_search",
        region_tasks.search,
        image.pixels,
        strategies_at(float(scale)),
        identity=(image.sha256, scale),
        title=f"Selective search in {image.name}",
        draw_waiting=draw_waiting,
    )


def quick_forms(
    image: ChosenImage, most: int, pooling: str, found: SearchResult, draw_waiting: Draw = None
) -> tuple[FormAnswer, ...] | None:
    """Fast R-CNN, Faster R-CNN and YOLO on a picture; None while they run or after they failed. Not to be changed."""
    return kept_job(
        "regions_quick",
        region_tasks.quick_forms,
        image.pixels,
        most,
        pooling,
        found,
        identity=(image.sha256, most, pooling),
        title=f"Fast R-CNN, Faster R-CNN and YOLO on {image.name}",
        draw_waiting=draw_waiting,
    )


def shared_features(image: ChosenImage, draw_waiting: Draw = None) -> SharedFeatures | None:
    """The shared map of a picture; None while it is worked out or after that failed. Not to be changed."""
    return kept_job(
        "regions_features",
        region_tasks.shared_features,
        image.pixels,
        identity=(image.sha256,),
        title=f"The shared map of {image.name}",
        draw_waiting=draw_waiting,
    )
