"""A user's `.keras` file to a model, in safe mode only and with limits checked before anything is unpacked.

A `.keras` file is a zip archive of `config.json` (the layers), `metadata.json` and `model.weights.h5`.
Everything that could run code of the file is refused by name before Keras sees it, and Keras then loads in
safe mode as well. What is refused is said in one sentence. The checks are light; Keras is imported where a
model is made.
"""

from __future__ import annotations

import io
import json
import math
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_FILE_BYTES = 640 * 2**20  # VGG-16 takes 528 MB
MAX_CONFIG_BYTES = 16 * 2**20
MAX_EXPANSION = 20  # Keras stores without compression; zipped again, weights shrink a little

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ZIP_SIGNATURE = b"PK\x03\x04"
_OWN_PACKAGE = "cnn_workbench>"

# Layers that run code from the file, or read other files.
_CODE_CLASSES = {"Lambda", "__lambda__"}
_FOREIGN_CLASSES = {"TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__typespec__"}
_TABLE_CLASSES = {"StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "IndexLookup"}
# How Keras writes tensors, arrays and slices.
_PLAIN_CLASSES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
_MODELLING_MODULES = (
    *("layers", "models", "initializers", "regularizers", "constraints", "activations", "ops", "random"),
    *("src.layers", "src.models", "src.ops", "src.dtype_policies", "src.backend", "src.applications"),
    *("src.initializers", "src.activations", "dtype_policies"),
)


class ModelFileError(ValueError):
    """A file that is not loaded; the message says in one sentence what is wrong with it."""


@dataclass(frozen=True)
class ModelFile:
    """A `.keras` file that passed the checks: its bytes, its layers' description, its weights' size."""

    content: bytes
    config: dict[str, Any]
    weights_bytes: int


def check_file(content: bytes, max_bytes: int = MAX_FILE_BYTES) -> ModelFile:
    """Checks a `.keras` file without running or unpacking more than its description.

    Args:
        content: The file's bytes.
        max_bytes: The largest file, and the largest sum of its unpacked parts.

    Raises:
        ModelFileError: If it is too large, damaged, of another kind, or holds code or a custom class.

    >>> check_file(b"")
    Traceback (most recent call last):
        ...
    core.architectures.loading.ModelFileError: The file is empty.
    """
    if not content:
        raise ModelFileError("The file is empty.")
    if len(content) > max_bytes:
        raise ModelFileError(
            f"The file has {_megabytes(len(content))}; models of up to {_megabytes(max_bytes)} are loaded."
        )
    if content.startswith(_HDF5_SIGNATURE):
        raise ModelFileError(
            'This is an HDF5 file of the older format; save the model again with model.save("name.keras").'
        )
    if not content.startswith(_ZIP_SIGNATURE):
        raise ModelFileError("This is not a .keras file: it is not a zip archive.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            weights_bytes = _check_members(archive, max_bytes)
            config = _read_config(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelFileError("The file is incomplete or damaged: its archive cannot be read.") from error
    _check_classes(config)
    return ModelFile(content, config, weights_bytes)


def model_without_weights(file: ModelFile) -> Any:
    """The Keras model that the file describes, its weights not allocated (it cannot be run).

    Raises:
        ModelFileError: If Keras cannot build it.
    """
    import keras

    from core.architectures.building import build_without_weights

    _register_own_layers()
    # What it was compiled with is of no use here.
    config = {**file.config, "compile_config": None}
    try:
        return build_without_weights(lambda: keras.saving.deserialize_keras_object(config, safe_mode=True))
    except Exception as error:  # a hostile description can raise anything
        raise ModelFileError(f"The file's layers cannot be built: {first_sentence(error)}") from error


def model_with_weights(file: ModelFile) -> Any:
    """The Keras model of the file with its weights.

    Raises:
        ModelFileError: If the weights do not belong to the layers, or cannot be read.
    """
    import keras

    declared = _declared_bytes(model_without_weights(file))
    if declared > file.weights_bytes:
        raise ModelFileError(
            f"The file's layers need {_megabytes(declared)} of weights; it holds only {_megabytes(file.weights_bytes)}."
        )
    _register_own_layers()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(file.content)
        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # as above
            raise ModelFileError(f"The file's weights cannot be read: {first_sentence(error)}") from error


def _check_members(archive: zipfile.ZipFile, max_bytes: int) -> int:
    """Checks names and sizes of the archive's parts; gives the size of the weights."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    missing = [name for name in (_CONFIG, _WEIGHTS) if name not in names]
    if missing:
        raise ModelFileError(f"This is not a .keras file: {missing[0]} is not in it.")
    others = [name for name in names if name not in (_CONFIG, _METADATA, _WEIGHTS) and not name.endswith("/")]
    if others or len(set(names)) < len(names):
        raise ModelFileError(f"The file holds parts that no image network has: {(others or sorted(names))[0]!r:.60}.")
    for info in infos:
        if info.file_size > 2**20 and info.file_size > MAX_EXPANSION * info.compress_size:
            raise ModelFileError(
                f"The file is packed as no saved model is: {_megabytes(info.compress_size)} would become "
                f"{_megabytes(info.file_size)}."
            )
    if sum(info.file_size for info in infos) > max_bytes:
        raise ModelFileError(f"Unpacked, the file is larger than {_megabytes(max_bytes)}.")
    if archive.testzip() is not None:
        raise ModelFileError("The file is incomplete or damaged: a checksum does not agree.")
    return archive.getinfo(_WEIGHTS).file_size


def _read_config(archive: zipfile.ZipFile) -> dict[str, Any]:
    """The description of the layers."""
    with archive.open(_CONFIG) as stream:
        text = stream.read(MAX_CONFIG_BYTES + 1)
    if len(text) > MAX_CONFIG_BYTES:
        raise ModelFileError(f"The description of the layers is longer than {_megabytes(MAX_CONFIG_BYTES)}.")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError("The description of the layers is not valid JSON.") from error
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ModelFileError("The description of the layers is not that of a Keras model.")
    return config


def _check_classes(config: dict[str, Any]) -> None:
    """Refuses code, foreign runtimes, custom classes and models that are not lists of layers."""
    if config.get("class_name") not in ("Functional", "Sequential", "Model"):
        of_model = _quoted(config.get("class_name"))
        raise ModelFileError(
            f"The model is of the class {of_model}, which is not part of Keras; a Functional or Sequential "
            "one is needed."
        )
    described = {**config, "compile_config": None}
    for item in _objects(described):
        name: Any = item.get("class_name")
        module: Any = item.get("module") or ""
        registered = item.get("registered_name")
        if name in _CODE_CLASSES:
            raise ModelFileError("The file holds a Lambda layer or function, which is Python code and is not run here.")
        if name in _FOREIGN_CLASSES:
            raise ModelFileError(f"The file holds {_quoted(name)}, which runs code that is not Keras'.")
        if name in _TABLE_CLASSES:
            raise ModelFileError(f"The file holds {_quoted(name)}, which works on words, not on images.")
        if isinstance(registered, str) and registered.startswith(_OWN_PACKAGE):
            continue
        if name in _PLAIN_CLASSES:
            continue
        if name == "function" and module == "builtins":
            continue  # the name of one of Keras' functions
        if not isinstance(module, str) or not _is_modelling(module):
            raise ModelFileError(
                f"The file needs a class or function of its own, {_quoted(registered or name)}, whose code "
                "is not part of Keras."
            )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """All dictionaries that describe an object, at any depth."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _is_modelling(module: str) -> bool:
    """Whether a module is one of those of Keras that hold layers and what they are made of."""
    if module == "keras":
        return True
    return any(module == f"keras.{part}" or module.startswith(f"keras.{part}.") for part in _MODELLING_MODULES)


def _register_own_layers() -> None:
    """Makes this project's own layers known to Keras."""
    from core.architectures import layers  # noqa: F401 - importing registers them


def _declared_bytes(model: Any) -> int:
    """Memory of the weights of the model's layers."""
    item_bytes = {"float64": 8, "int64": 8, "float16": 2, "bfloat16": 2, "uint8": 1, "int8": 1, "bool": 1}
    return sum(
        math.prod(int(side) for side in tuple(variable.shape)) * item_bytes.get(str(variable.dtype), 4)
        for variable in model.weights
    )


def first_sentence(error: BaseException) -> str:
    """The beginning of an error's text, as one line that ends with a full stop."""
    text = " ".join(str(error).split()) or type(error).__name__
    sentence = text.split(". ")[0]
    return (sentence if len(sentence) <= 240 else f"{sentence[:239]}…").rstrip(".") + "."


def _quoted(name: Any) -> str:
    """A name from the file, shortened."""
    return repr(name if isinstance(name, str) else str(name))[:80]


def _megabytes(count: int) -> str:
    """A number of bytes for people.

    >>> _megabytes(2 * 10**9)
    '2,000.0 MB'
    """
    return f"{count / 10**6:,.1f} MB"
