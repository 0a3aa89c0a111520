"""The experiments' ideas as programs to copy: each runs as it stands, on what scikit-learn carries.

`result` is what the programs of one view have in common. Where they do the same, they are what `snippet_runs` runs
and compares; only the computation below `MARK` is timed there. Only numbers of the settings go into a text.
"""

from core.convolution.snippets import MARK
from core.training.experiments.settings import (
    AugmentationSettings,
    EnsembleSettings,
    HogSettings,
    MultiCropSettings,
    TransferSettings,
)

DIGITS = """digits = load_digits()
x = (digits.images * 255 / 16).astype("uint8")  # (1797, 8, 8)
order = np.random.default_rng(0).permutation(len(x))
train, test = order[:{training}], order[-359:]
"""
KERAS_DIGITS = """digits = load_digits()
x = np.repeat(digits.images[..., None] * 255 / 16, 3, axis=3).astype("float32")  # (1797, 8, 8, 3)
x = np.array(keras.ops.image.resize(x, ({side}, {side})))
y = digits.target
train, test = slice(0, {training}), slice(-359, None)
"""


def transfer_snippets(settings: TransferSettings) -> dict[str, str]:
    """Frozen, fine-tuned, and the softmax layer by hand."""
    start = (
        "import keras\nimport numpy as np\nfrom sklearn.datasets import load_digits\n\n"
        + KERAS_DIGITS.format(side=96, training=10 * settings.per_class[-1])
        + "\nbackbone = keras.applications.MobileNetV2(\n"
        '    include_top=False, weights="imagenet", pooling="avg", input_shape=(96, 96, 3)\n)\n'
        "backbone.trainable = False  # frozen: few pictures cannot spoil it\n"
        "model = keras.Sequential(\n    [\n        keras.Input((96, 96, 3)),\n"
        "        keras.layers.Rescaling(1 / 127.5, -1),  # what this backbone was trained on\n        backbone,\n"
        '        keras.layers.Dense(10, activation="softmax"),\n    ]\n)\n'
        'model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])\n'
        f"model.fit(x[train], y[train], batch_size={settings.batch}, epochs=20)\n"
    )
    return {
        "Keras: frozen": start + "result = model.evaluate(x[test], y[test])[1]\nprint(result)\n",
        "Keras: fine-tuned": start + "\nfor layer in backbone.layers[-30:]:  # the upper layers learn on, slowly\n"
        "    layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)\n"
        f"model.compile(keras.optimizers.Adam({settings.tuning_rate!r}), "
        '"sparse_categorical_crossentropy", metrics=["accuracy"])\n'
        f"model.fit(x[train], y[train], batch_size={settings.batch}, epochs=10)\n"
        "result = model.evaluate(x[test], y[test])[1]\nprint(result)\n",
        "NumPy: the softmax layer": "import numpy as np\nfrom sklearn.datasets import load_digits\n\n"
        + DIGITS.format(training=10 * settings.per_class[-1])
        + "features = x.reshape(len(x), -1) / 255  # put a backbone's features here\n"
        "y = np.eye(10)[digits.target]\n"
        "w, b = np.zeros((features.shape[1], 10)), np.zeros(10)\n"
        "for _ in range(300):\n"
        "    z = features[train] @ w + b\n"
        "    p = np.exp(z - z.max(axis=1, keepdims=True))\n"
        "    p /= p.sum(axis=1, keepdims=True)  # softmax\n"
        "    error = (p - y[train]) / len(train)  # the gradient of the cost J to z\n"
        "    w -= 2.0 * features[train].T @ error\n"
        "    b -= 2.0 * error.sum(axis=0)\n"
        "result = np.mean((features[test] @ w + b).argmax(axis=1) == digits.target[test])\nprint(result)\n",
    }


def augmentation_snippets(settings: AugmentationSettings) -> dict[str, str]:
    """Keras' layers for it, and shift and mirror by hand."""
    layers = []
    if settings.flip:
        layers.append('keras.layers.RandomFlip("horizontal"),')
    if settings.shift_px:
        share = round(settings.shift_px / 32, 3)
        layers.append(f'keras.layers.RandomTranslation({share}, {share}, fill_mode="nearest"),')
    if settings.rotate_deg:
        turn = round(settings.rotate_deg / 360, 4)
        layers.append(f'keras.layers.RandomRotation({turn}, fill_mode="nearest"),')
    if settings.zoom:
        layers.append(f'keras.layers.RandomZoom({settings.zoom!r}, fill_mode="nearest"),')
    if settings.colour:
        layers.append(f"keras.layers.RandomContrast({settings.colour!r}, value_range=(0, 255)),")
        layers.append(f"keras.layers.RandomBrightness({settings.colour / 2!r}, value_range=(0, 255)),")
    changes = "\n".join(f"        {layer}" for layer in layers)
    mirror = "    if random.random() < 0.5:\n        picture = picture[:, ::-1]\n" if settings.flip else ""
    return {
        "Keras": "import keras\nimport numpy as np\nfrom sklearn.datasets import load_digits\n\n"
        + KERAS_DIGITS.format(side=32, training=10 * settings.per_class)
        + "\n# The changes are layers: they work in training alone, anew for every batch.\n"
        "model = keras.Sequential(\n    [\n        keras.Input((32, 32, 3)),\n"
        + (changes + "\n" if changes else "")
        + "        keras.layers.Rescaling(1 / 127.5, -1),\n"
        '        keras.layers.Conv2D(16, 3, activation="relu"),\n        keras.layers.MaxPooling2D(),\n'
        '        keras.layers.Conv2D(32, 3, activation="relu"),\n        keras.layers.MaxPooling2D(),\n'
        '        keras.layers.Flatten(),\n        keras.layers.Dense(10, activation="softmax"),\n    ]\n)\n'
        'model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])\n'
        f"model.fit(x[train], y[train], batch_size={settings.batch}, epochs=20)\n"
        "result = model.evaluate(x[test], y[test])[1]\nprint(result)\n",
        "NumPy": "import numpy as np\nfrom sklearn.datasets import load_digits\n\n"
        "random = np.random.default_rng(0)\n\n\n"
        f"def change(picture, most={max(1, settings.shift_px // 4)}):  # pixels, of 8\n"
        '    """The picture (H, W) moved at random'
        + (", and mirrored every second time" if settings.flip else "")
        + '; its rim is repeated."""\n'
        + mirror
        + "    down, right = random.integers(-most, most + 1, 2)\n"
        "    wide = np.pad(picture, most, mode='edge')\n"
        "    return wide[most - down :, most - right :][: picture.shape[0], : picture.shape[1]]\n\n\n"
        "original = load_digits().images[0]  # (8, 8)\n"
        "result = np.stack([change(original) for _ in range(5)])  # five new pictures of the same class\n"
        "print(result.shape)\n",
    }


def hog_snippets(settings: HogSettings) -> dict[str, str]:
    """HOG and a linear SVM's decision with scikit-image and scikit-learn, and both by hand; `result` is the same."""
    options = (
        f"orientations={settings.orientations}, pixels_per_cell=({settings.cell_px}, {settings.cell_px}), "
        f"cells_per_block=({settings.block_cells}, {settings.block_cells})"
    )
    digits = DIGITS.format(training=144) + "x = x.repeat(4, axis=1).repeat(4, axis=2)  # (1797, 32, 32)\n"
    machine = (
        f"machine = LinearSVC(C={settings.svm_c!r}, random_state=0)\n"
        "machine.fit(np.stack([hog({options}) for one in x[train]]), digits.target[train])\n"
    )
    return {
        "scikit-image, scikit-learn": "import numpy as np\nfrom skimage.feature import hog\n"
        "from sklearn.datasets import load_digits\nfrom sklearn.svm import LinearSVC\n\n"
        + digits
        + machine.replace("{options}", f"one, {options}")
        + f"{MARK}\n"
        + f"features = np.stack([hog(one, {options}) for one in x[test[:20]]])\n"
        "result = machine.decision_function(features)  # (20, 10): how far on each class's side of its plane\n"
        "print(np.mean(result.argmax(axis=1) == digits.target[test[:20]]))\n",
        "NumPy": "import numpy as np\nfrom sklearn.datasets import load_digits\nfrom sklearn.svm import LinearSVC\n\n\n"
        f"def hog(picture, orientations={settings.orientations}, cell={settings.cell_px}, "
        f"block={settings.block_cells}):\n"
        '    """Histograms of oriented gradients of a grey picture (H, W), as Dalal and Triggs 2005."""\n'
        "    picture = picture.astype(float)\n"
        "    down, right = np.zeros_like(picture), np.zeros_like(picture)\n"
        "    down[1:-1] = picture[2:] - picture[:-2]\n"
        "    right[:, 1:-1] = picture[:, 2:] - picture[:, :-2]\n"
        "    length = np.hypot(down, right)\n"
        "    angle = np.rad2deg(np.arctan2(down, right)) % 180  # a direction and its opposite count alike\n"
        "    rows, columns = picture.shape[0] // cell, picture.shape[1] // cell\n"
        "    histograms = np.zeros((rows, columns, orientations))\n"
        "    for k in range(orientations):\n"
        "        low, high = 180 * k / orientations, 180 * (k + 1) / orientations\n"
        "        here = np.where((angle >= low) & (angle < high), length, 0)[: rows * cell, : columns * cell]\n"
        "        histograms[..., k] = here.reshape(rows, cell, columns, cell).mean(axis=(1, 3))\n"
        "    blocks = []\n"
        "    for row in range(rows - block + 1):\n"
        "        for column in range(columns - block + 1):\n"
        "            v = histograms[row : row + block, column : column + block].ravel()\n"
        "            v = np.minimum(v / np.sqrt((v**2).sum() + 1e-10), 0.2)  # no single gradient rules\n"
        "            blocks.append(v / np.sqrt((v**2).sum() + 1e-10))\n"
        "    return np.concatenate(blocks)\n\n\n"
        + digits
        + machine.replace("{options}", "one")
        + f"{MARK}\n"
        + "features = np.stack([hog(one) for one in x[test[:20]]])\n"
        "result = features @ machine.coef_.T + machine.intercept_  # (20, 10): w v + b of each class\n"
        "print(np.mean(result.argmax(axis=1) == digits.target[test[:20]]))\n",
    }


def ensemble_snippets(settings: EnsembleSettings) -> dict[str, str]:
    """The mean of networks' answers with three libraries; `result` is the same of all."""
    k = settings.members
    start = f"\nrng = np.random.default_rng(0)\nlogits = rng.normal(size=({k}, 4, 10))"
    shape = f"  # {k} networks, 4 pictures, 10 classes\n"
    return {
        "NumPy": "import numpy as np\n"
        + start
        + shape
        + f"{MARK}\n"
        + "p = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)  # softmax of each network\n"
        "result = p.mean(axis=0)  # (4, 10): outputs are averaged, never weights\n"
        "print(result.argmax(axis=1))\n",
        "TensorFlow": "import numpy as np\nimport tensorflow as tf\n"
        + start
        + shape
        + f"{MARK}\n"
        + "result = tf.reduce_mean(tf.nn.softmax(tf.constant(logits)), axis=0)  # (4, 10)\n"
        "print(tf.argmax(result, axis=1))\n",
        "Keras": "import keras\nimport numpy as np\n"
        + start
        + shape
        + f"members = [keras.Input((10,)) for _ in range({k})]  # put your networks' outputs here\n"
        "answers = [keras.layers.Softmax()(member) for member in members]\n"
        "ensemble = keras.Model(members, keras.layers.Average()(answers))\n"
        + f"{MARK}\n"
        + "result = np.array(ensemble(list(logits)))  # (4, 10), in float32\n"
        "print(result.argmax(axis=1))\n",
    }


def trained_ensemble(settings: EnsembleSettings) -> dict[str, str]:
    """Networks that are trained and averaged, as one Keras model."""
    k = settings.members
    return {
        "Keras: networks that are trained": "import keras\nimport numpy as np\n"
        "from sklearn.datasets import load_digits\n\n"
        "digits = load_digits()\nx, y = digits.images[..., None] / 16, digits.target\n\n\n"
        "def network(seed):\n"
        "    keras.utils.set_random_seed(seed)  # the members differ in their seed alone\n"
        "    model = keras.Sequential(\n        [\n            keras.Input((8, 8, 1)),\n"
        '            keras.layers.Conv2D(16, 3, activation="relu"),\n            keras.layers.Flatten(),\n'
        '            keras.layers.Dense(10, activation="softmax"),\n        ]\n    )\n'
        '    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])\n'
        f"    model.fit(x[:{10 * settings.per_class}], y[:{10 * settings.per_class}], epochs=20, verbose=0)\n"
        "    return model\n\n\n"
        f"members = [network(seed) for seed in range({k})]\n"
        "image = keras.Input((8, 8, 1))\n"
        "ensemble = keras.Model(image, keras.layers.Average()([member(image) for member in members]))\n"
        "result = np.mean(np.array(ensemble(x[-359:])).argmax(axis=1) == y[-359:])\n"
        "print([member.evaluate(x[-359:], y[-359:], verbose=0)[1] for member in members], result)\n",
    }


def crop_snippets(settings: MultiCropSettings) -> dict[str, str]:
    """The mean answer to a picture's ten crops, with three libraries; `result` is the same of all."""
    start = (
        "import numpy as np\n{library}from sklearn.datasets import load_sample_image\n\n"
        'x = load_sample_image("flower.jpg")[:256, :256] / np.float32(255)  # (256, 256, 3)\n'
        f"h, w, c = 256, 256, {round(256 * settings.crop_share)}\n"
        "places = [(0, 0), (0, w - c), (h - c, 0), (h - c, w - c), ((h - c) // 2, (w - c) // 2)]\n"
        "# A softmax layer on the pixels stands for your network.\n"
        "weights = np.random.default_rng(0).normal(0, 0.01, (c * c * 3, 10)).astype(np.float32)\n" + f"{MARK}\n"
    )
    return {
        "NumPy": start.replace("{library}", "")
        + "five = np.stack([x[top : top + c, left : left + c] for top, left in places])\n"
        "crops = np.concatenate([five, five[:, :, ::-1]])  # (10, c, c, 3)\n"
        "z = crops.reshape(10, -1) @ weights  # (10, 10)\n"
        "p = np.exp(z - z.max(axis=1, keepdims=True))\n"
        "p /= p.sum(axis=1, keepdims=True)\n"
        "result = p.mean(axis=0)  # (10,): one answer to the picture\nprint(result)\n",
        "TensorFlow": start.replace("{library}", "import tensorflow as tf\n")
        + "five = tf.stack([tf.image.crop_to_bounding_box(x, top, left, c, c) for top, left in places])\n"
        "crops = tf.concat([five, tf.image.flip_left_right(five)], axis=0)  # (10, c, c, 3)\n"
        "p = tf.nn.softmax(tf.reshape(crops, (10, -1)) @ weights)  # (10, 10)\n"
        "result = tf.reduce_mean(p, axis=0)  # (10,)\nprint(result)\n",
        "Keras": start.replace("{library}", "from keras import ops\n") + "five = ops.stack(\n"
        "    [ops.image.crop_images(x, top, left, target_height=c, target_width=c) for top, left in places]\n)\n"
        "crops = ops.concatenate([five, ops.flip(five, axis=2)])  # (10, c, c, 3)\n"
        "p = ops.softmax(ops.matmul(ops.reshape(crops, (10, -1)), weights))  # (10, 10)\n"
        "result = ops.mean(p, axis=0)  # (10,)\nprint(result)\n",
    }
