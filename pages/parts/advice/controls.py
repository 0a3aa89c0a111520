"""Controls that the experiments share: which pictures, how many seeds, which network."""

from collections.abc import Sequence

import streamlit as st

from core.training.class_folders import list_own
from core.training.runs import NETWORKS
from core.training.tasks import datasets_folder
from pages.parts.compute import owner
from pages.parts.routes import page, route

DATA = {
    "photographs": "Patches of 16 photographs",
    "faces": "Faces or not (200)",
    "shapes": "Drawn shapes (3,000)",
    "digits": "Handwritten digits (1,797)",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}
NETWORK_LABELS = {"lenet5": "LeNet-5", "small_vgg": "Small VGG", "resnet20": "ResNet-20"}


def data_control(prefix: str, default: str) -> str:
    """Draw the choice of pictures; the key that opens them."""
    own = {f"own:{key}": f"Yours: {name}" for key, name in list_own(datasets_folder(), owner()).items()}
    labels = {**DATA, **own}
    return str(
        st.selectbox(
            "Pictures",
            list(labels),
            index=list(labels).index(default),
            format_func=lambda key: labels.get(key, key),
            key=f"{prefix}_data",
            bind="query-params",
            help="Which photograph is a patch from? Which shape, digit or thing is it? The first four are always "
            "here; MNIST, Fashion-MNIST and CIFAR-10 are fetched once, or taken from the folder “datasets” of the "
            "workbench's data folder (mnist.npz). Your own zip of class folders, given to the Training lab, is "
            "offered here too. Large sets are cut to 6,000 pictures to learn from and 1,000 to test.",
        )
    )


def own_pictures_hint() -> None:
    """Say how a user's own pictures come into the list."""
    st.page_link(
        page(route("training_lab")),
        label="Bring your own pictures",
        icon=":material/folder_zip:",
        help="Give a zip with a folder for each class to the Training lab: it is then offered here too.",
    )


def seeds_control(prefix: str, default: int = 3) -> int:
    """Draw the number of seeds."""
    return int(
        st.slider(
            "Seeds",
            1,
            10,
            default,
            key=f"{prefix}_seeds",
            bind="query-params",
            help="How often everything is repeated, with other pictures to learn from, other weights and another "
            "order. More seeds, more certain: the error bars are their standard deviation.",
        )
    )


def network_control(prefix: str, default: str, names: Sequence[str] = NETWORKS) -> str:
    """Draw the choice of a network that is trained from scratch."""
    return str(
        st.selectbox(
            "Network",
            list(names),
            index=list(names).index(default),
            format_func=NETWORK_LABELS.__getitem__,
            key=f"{prefix}_network",
            bind="query-params",
            help="Trained from random weights. LeNet-5 is the fastest, ResNet-20 takes ten times as long.",
        )
    )


def steps_control(prefix: str, default: int, options: Sequence[int]) -> int:
    """Draw the number of batches of a training."""
    return int(
        st.select_slider(
            "Steps of a training",
            list(options),
            default,
            key=f"{prefix}_steps",
            bind="query-params",
            help="Batches that each network learns from. Every method gets the same number, however many pictures "
            "there are.",
        )
    )


def count_control(prefix: str, default: int, options: Sequence[int], label: str = "Training pictures a class") -> int:
    """Draw the number of training pictures of each class."""
    return int(
        st.select_slider(
            label,
            list(options),
            default,
            key=f"{prefix}_count",
            bind="query-params",
            help="Where a class has fewer, all of them are taken. The fewer there are, the more there is to gain.",
        )
    )


def data_label(data: str) -> str:
    """The name of a data set without its size."""
    return DATA.get(data, "Own pictures").split(" (")[0]


def counted(count: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "seed"), counted(3, "seed")
    ('1 seed', '3 seeds')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def times_over(count: int) -> str:
    """How often something is repeated.

    >>> times_over(1), times_over(3)
    ('once', '3 times over')
    """
    return "once" if count == 1 else f"{count} times over"
