"""The entries of the catalogue, and the names of `keras.applications`.

A new network is one entry here. Errors are as printed in the papers, with the conditions they hold under.
Light: imports nothing heavy.
"""

from __future__ import annotations

from core.architectures.catalog_types import CatalogEntry, Option, Paper, PublishedCount, ReportedError

_IMAGENET_VAL = "ILSVRC-2012 validation"

_LENET_PAPER = Paper(
    1998,
    "LeCun, Bottou, Bengio, Haffner",
    "Gradient-based learning applied to document recognition",
    "http://yann.lecun.com/exdb/publis/pdf/lecun-01a.pdf",
)
_ALEXNET_PAPER = Paper(
    2012,
    "Krizhevsky, Sutskever, Hinton",
    "ImageNet classification with deep convolutional neural networks",
    "https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
)
_VGG_PAPER = Paper(
    2014,
    "Simonyan, Zisserman",
    "Very deep convolutional networks for large-scale image recognition",
    "https://arxiv.org/abs/1409.1556",
)
_RESNET_PAPER = Paper(
    2015,
    "He, Zhang, Ren, Sun",
    "Deep residual learning for image recognition",
    "https://arxiv.org/abs/1512.03385",
)
_NIN_PAPER = Paper(
    2013,
    "Lin, Chen, Yan",
    "Network in network",
    "https://arxiv.org/abs/1312.4400",
)
_GOOGLENET_PAPER = Paper(
    2014,
    "Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich",
    "Going deeper with convolutions",
    "https://arxiv.org/abs/1409.4842",
)

_SHORTCUTS = Option(
    "shortcuts",
    "Shortcuts",
    (
        ("A", "A: zeros for new channels"),
        ("B", "B: projection where shapes change"),
        ("C", "C: projection everywhere"),
    ),
    "B",
    "How the input reaches the sum where a block changes the shape. Only projections have weights.",
)
_RESNET_VARIANT = Option(
    "variant",
    "Convolutions",
    (("paper", "without bias (paper)"), ("keras", "with bias (Keras)")),
    "paper",
    "Keras gives each convolution a bias although batch normalisation follows, which cancels it.",
)
_RESNET_OPTIONS = (_RESNET_VARIANT, _SHORTCUTS)


def _resnet_errors(top1: float, top5: float | None, conditions: str) -> tuple[ReportedError, ...]:
    """Top-1 and, where printed, top-5 error of a residual network."""
    errors = [ReportedError(top1, "top-1", f"{_IMAGENET_VAL}, {conditions}")]
    if top5 is not None:
        errors.append(ReportedError(top5, "top-5", f"{_IMAGENET_VAL}, {conditions}"))
    return tuple(errors)


_TORCHVISION = "torchvision's network of the same layers"
_KERAS = "keras.applications"

ENTRIES: tuple[CatalogEntry, ...] = (
    CatalogEntry(
        name="lenet5",
        label="LeNet-5",
        paper=_LENET_PAPER,
        errors=(
            ReportedError(0.95, "test error", "MNIST, one network"),
            ReportedError(0.8, "test error", "MNIST, trained with distorted digits"),
        ),
        depth=7,
        input_shape=(32, 32, 1),
        classes=10,
        parameters_in_words="60,000 trainable",
        builder="core.architectures.classic:lenet5",
        arguments={},
        options=(
            Option(
                "form",
                "Form",
                (("paper", "as in the paper"), ("dense_c3", "C3 sees every map")),
                "paper",
                "In the paper C3 sees some of the maps, pooling trains, and the outputs are distances.",
            ),
        ),
        published=(
            PublishedCount({"form": "paper"}, 60_840, 60_000, "the paper: 60,000 trainable, 840 fixed"),
            PublishedCount({"form": "dense_c3"}, 61_706, 61_706, "the sum of its layers"),
        ),
        note="Subsampling S2 and S4 have weights of their own in the paper, and so count as layers.",
    ),
    CatalogEntry(
        name="alexnet",
        label="AlexNet",
        paper=_ALEXNET_PAPER,
        errors=(
            ReportedError(40.7, "top-1", f"{_IMAGENET_VAL}, one network"),
            ReportedError(18.2, "top-5", f"{_IMAGENET_VAL}, one network"),
            ReportedError(16.4, "top-5", "ILSVRC-2012 test, average of five networks"),
        ),
        depth=8,
        input_shape=(227, 227, 3),
        classes=1000,
        parameters_in_words="60 million",
        builder="core.architectures.classic:alexnet",
        arguments={},
        options=(
            Option(
                "grouped",
                "Towers",
                ((True, "two, as in the paper"), (False, "one")),
                True,
                "The paper splits it over two graphics cards that meet at conv3 and the dense layers.",
            ),
        ),
        published=(
            PublishedCount({"grouped": True}, 60_965_224, 60_965_224, "the authors' network in Caffe"),
            PublishedCount({"grouped": False}, 62_378_344, 62_378_344, "the sum of its layers"),
        ),
        smallest_side_px=67,
    ),
    *(
        CatalogEntry(
            name=f"vgg{depth}",
            label=f"VGG-{depth}",
            paper=_VGG_PAPER,
            errors=errors,
            depth=depth,
            input_shape=(224, 224, 3),
            classes=1000,
            parameters_in_words=words,
            builder="core.architectures.classic:vgg",
            arguments={"plan": plan},
            published=(PublishedCount({}, count, count, source),),
        )
        for depth, plan, words, count, source, errors in (
            (
                11,
                "A",
                "133 million",
                132_863_336,
                _TORCHVISION,
                (
                    ReportedError(29.6, "top-1", f"{_IMAGENET_VAL}, one scale"),
                    ReportedError(10.4, "top-5", f"{_IMAGENET_VAL}, one scale"),
                ),
            ),
            (
                16,
                "D",
                "138 million",
                138_357_544,
                _KERAS,
                (
                    ReportedError(24.4, "top-1", f"{_IMAGENET_VAL}, many scales, multi-crop and dense"),
                    ReportedError(7.2, "top-5", f"{_IMAGENET_VAL}, many scales, multi-crop and dense"),
                ),
            ),
            (
                19,
                "E",
                "144 million",
                143_667_240,
                _KERAS,
                (
                    ReportedError(24.4, "top-1", f"{_IMAGENET_VAL}, many scales, multi-crop and dense"),
                    ReportedError(7.1, "top-5", f"{_IMAGENET_VAL}, many scales, multi-crop and dense"),
                ),
            ),
        )
    ),
    CatalogEntry(
        name="network_in_network",
        label="Network in Network",
        paper=_NIN_PAPER,
        errors=(
            ReportedError(10.41, "test error", "CIFAR-10, without augmentation"),
            ReportedError(8.81, "test error", "CIFAR-10, with translation and mirroring"),
        ),
        depth=9,
        input_shape=(32, 32, 3),
        classes=10,
        parameters_in_words="not printed",
        builder="core.architectures.network_in_network:network_in_network",
        arguments={},
        published=(PublishedCount({}, 966_986, 966_986, "the authors' network definition for CIFAR-10"),),
        smallest_side_px=4,
    ),
    CatalogEntry(
        name="googlenet",
        label="GoogLeNet",
        paper=_GOOGLENET_PAPER,
        errors=(
            ReportedError(10.07, "top-5", f"{_IMAGENET_VAL}, one network, one crop"),
            ReportedError(6.67, "top-5", "ILSVRC-2014 test, seven networks, 144 crops"),
        ),
        depth=22,
        input_shape=(224, 224, 3),
        classes=1000,
        parameters_in_words="about 7 million",
        builder="core.architectures.inception:googlenet",
        arguments={},
        options=(
            Option(
                "side_outputs",
                "Side outputs",
                ((False, "without"), (True, "with both")),
                False,
                "Two classifiers on hidden layers help training and are thrown away afterwards.",
            ),
        ),
        published=(
            PublishedCount({"side_outputs": False}, 6_998_552, 6_998_552, "the network in Caffe"),
            PublishedCount({"side_outputs": True}, 13_378_280, 13_378_280, "the network in Caffe"),
        ),
    ),
    *(
        CatalogEntry(
            name=f"resnet{depth}",
            label=f"ResNet-{depth}",
            paper=_RESNET_PAPER,
            errors=errors,
            depth=depth,
            input_shape=(224, 224, 3),
            classes=1000,
            parameters_in_words="not printed",
            builder="core.architectures.resnet:resnet",
            arguments={"depth": depth},
            options=_RESNET_OPTIONS,
            published=published,
        )
        for depth, errors, published in (
            (
                18,
                _resnet_errors(27.88, None, "10 crops, shortcuts A"),
                (PublishedCount({}, 11_699_112, 11_689_512, _TORCHVISION),),
            ),
            (
                34,
                _resnet_errors(24.52, 7.46, "10 crops, shortcuts B"),
                (PublishedCount({}, 21_814_696, 21_797_672, _TORCHVISION),),
            ),
            (
                50,
                _resnet_errors(22.85, 6.71, "10 crops, shortcuts B"),
                (
                    PublishedCount({}, 25_610_152, 25_557_032, _TORCHVISION),
                    PublishedCount({"variant": "keras"}, 25_636_712, 25_583_592, _KERAS),
                ),
            ),
        )
    ),
    *(
        CatalogEntry(
            name=f"resnet{depth}_cifar",
            label=f"ResNet-{depth} (CIFAR)",
            paper=_RESNET_PAPER,
            errors=(ReportedError(error, "test error", "CIFAR-10, shifted and mirrored"),),
            depth=depth,
            input_shape=(32, 32, 3),
            classes=10,
            parameters_in_words=words,
            builder="core.architectures.resnet:cifar_resnet",
            arguments={"depth": depth},
            options=(
                Option(
                    "residual",
                    "Shortcuts",
                    ((True, "residual"), (False, "plain")),
                    True,
                    "The plain twin has the same layers and the same parameters, but no shortcuts.",
                ),
            ),
            published=(PublishedCount({}, total, trainable, "table 6 of the paper, rounded there"),),
            smallest_side_px=4,
        )
        for depth, error, words, total, trainable in (
            (20, 8.75, "0.27 million", 271_098, 269_722),
            (56, 6.97, "0.85 million", 857_082, 853_018),
            (110, 6.43, "1.7 million", 1_736_058, 1_727_962),
        )
    ),
)

# The networks of `keras.applications`, with the module that holds each one's preprocessing.
APPLICATIONS: dict[str, str] = {
    **dict.fromkeys(("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"), "convnext"),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), "densenet"),
    **{f"EfficientNetB{n}": "efficientnet" for n in range(8)},
    **{f"EfficientNetV2{size}": "efficientnet_v2" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")},
    "InceptionResNetV2": "inception_resnet_v2",
    "InceptionV3": "inception_v3",
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    **dict.fromkeys(("MobileNetV3Large", "MobileNetV3Small"), "mobilenet_v3"),
    **dict.fromkeys(("NASNetLarge", "NASNetMobile"), "nasnet"),
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152"), "resnet"),
    **dict.fromkeys(("ResNet50V2", "ResNet101V2", "ResNet152V2"), "resnet_v2"),
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "Xception": "xception",
}
