"""The template of the embedded workers: a process in which TensorFlow is loaded and that forks.

Importing this module imports TensorFlow and Keras, so only the template process (a ``forkserver`` of
`multiprocessing`) does. A worker forked from it begins in a tenth of a second where loading TensorFlow takes
five, and shares with it the memory of the libraries. Nothing is computed here: TensorFlow starts its threads
and opens its devices with the first operation, and a process that has done so must not fork.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import threading
from collections.abc import Iterator


def load() -> None:
    """Import what workers need, behind the rest of the machine's work."""
    if hasattr(os, "setpriority"):  # on Linux a thread has a priority of its own
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
    with silent():
        for module in ("distributed", "tensorflow", "keras", "core.runtime.engine"):
            importlib.import_module(module)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Drop what native code writes as an error: TensorFlow says at import how it was compiled."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


# In a thread, so that the forked workers do not inherit its low priority.
loader = threading.Thread(target=load, name="template")
loader.start()
loader.join()
gc.collect()
gc.freeze()  # the collector of a forked worker leaves these objects alone, and their pages stay shared
