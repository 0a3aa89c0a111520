"""The sliding window as programs to copy."""

from core.detection.sliding_windows import STRIDE_PX, WINDOW_PX, Level

Snippets = dict[str, str]


def scan_snippets(level: Level, threshold: float, iou: float) -> Snippets:
    """Programs that look at every window of a copy of this level's size: window by window, and convolutionally."""
    size = f"({level.width_px}, {level.height_px})"
    keras = f"""import keras
import numpy as np
from PIL import Image

from core.detection.sliding_windows_network import build_window_classifier, fully_convolutional

classifier = build_window_classifier(6)  # convolutions without padding, then two fully connected layers
classifier.load_weights("assets/weights/windows_6.weights.h5")
convolutional = fully_convolutional(classifier)  # the same weights, without a fully connected layer

image = np.asarray(Image.open("photo.jpg").convert("RGB").resize({size}), np.float32)
logits = convolutional(image[None])  # (1, {level.rows}, {level.columns}, 7)
scores = keras.ops.softmax(logits)[0]
"""
    numpy = f"""import numpy as np

windows = np.lib.stride_tricks.sliding_window_view(image, ({WINDOW_PX}, {WINDOW_PX}), axis=(0, 1))
windows = np.moveaxis(windows[::{STRIDE_PX}, ::{STRIDE_PX}], 2, -1)  # ({level.rows}, {level.columns}, 64, 64, 3)
scores = np.array([[softmax(classifier(window[None]))[0] for window in row] for row in windows])
rows, columns = np.nonzero(scores[..., 1:].max(-1) >= {threshold:g})
boxes = np.stack([columns, rows, columns + {WINDOW_PX // STRIDE_PX}, rows + {WINDOW_PX // STRIDE_PX}], axis=1)
boxes = boxes * {STRIDE_PX} / {level.scale:.5f}  # pixels of the photograph
"""
    tensorflow = f"""import tensorflow as tf

best = tf.reduce_max(scores[..., 1:], axis=-1)
chosen = tf.where(best >= {threshold:g})  # (n, 2) rows and columns
corners = tf.cast(chosen, tf.float32) * {STRIDE_PX} / {level.scale:.5f}
boxes = tf.concat([corners, corners + {WINDOW_PX} / {level.scale:.5f}], axis=1)  # y1, x1, y2, x2
kept = tf.image.non_max_suppression(boxes, tf.gather_nd(best, chosen), 100, iou_threshold={iou:g})
"""
    return {"Keras": keras, "NumPy": numpy, "TensorFlow": tensorflow}
