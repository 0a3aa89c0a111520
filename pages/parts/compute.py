"""The pages' way to the compute engine: one engine a server, warmed up in the background, and the device chip."""

import gc
import importlib
import pkgutil
import threading
from collections.abc import Callable
from typing import Any

import streamlit as st

from core.runtime.devices import device_line
from core.runtime.engine import Engine, EngineError, get_engine
from pages import parts

# The first page is drawn before a worker starts to load TensorFlow: both cores are the visitor's until then.
WARM_UP_DELAY_S = 1.5


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The server's one compute engine."""
    return get_engine()


@st.cache_resource(show_spinner=False)
def _warm_up_once() -> bool:
    timer = threading.Timer(WARM_UP_DELAY_S, _warm_up)
    timer.daemon = True
    timer.start()
    return True


def _warm_up() -> None:
    engine().warm_up()
    for module in pkgutil.walk_packages(parts.__path__, "pages.parts."):
        importlib.import_module(module.name)
    # Streamlit collects garbage after every run, and going through all that was ever imported took a run 30 to 50 ms
    # in which no other visitor's run went on. What is imported stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()


def warm_up_soon() -> None:
    """Start the worker that answers short calls, once a server, shortly after the first page was drawn."""
    _warm_up_once()


def compute(task: Callable[..., Any], *args: Any, timeout_s: float = 60.0, **kwargs: Any) -> Any:
    """Call a task in a worker and wait for its result; on failure say why on the page and stop there.

    The result is None when the engine could not answer; the page goes on without it.
    """
    try:
        return engine().call(task, *args, timeout_s=timeout_s, **kwargs)
    except EngineError as error:
        st.error(str(error), icon=":material/error:")
        return None


def owner() -> str:
    """Whose jobs these are: the signed-in user's, or, without sign-in, the machine's."""
    if st.user.get("is_logged_in", False):
        return f"user:{st.user.get('email') or st.user.get('sub')}"
    return "local"


def device_chip() -> None:
    """Say which device computes: a chip that fills in when the worker has started."""
    if engine().describe().devices is None:
        _waiting_chip()
    else:
        _chip()


@st.fragment(run_every=2.0)
def _waiting_chip() -> None:
    if engine().describe().devices is not None:
        st.rerun()
    _chip()


def _chip() -> None:
    info = engine().describe()
    if info.trouble:
        st.badge("Compute cannot be reached", icon=":material/cloud_off:", color="red", help=info.trouble)
        return
    device = info.devices
    if device is None:
        st.badge("Compute is starting", icon=":material/hourglass_top:", color="gray")
        return
    workers = len(info.workers)
    memory = "memory growth on" if device.memory_growth else "no GPU memory to manage"
    st.badge(
        device_line(device),
        icon=":material/memory:",
        color="green" if device.kind == "GPU" else "blue",
        help=f"**{device.name}** · {device.cpu_cores} CPU cores · {memory}  \n"
        f"TensorFlow {device.tensorflow_version}, Keras {device.keras_version}  \n"
        f"{info.kind.capitalize()} engine with {workers} worker{'' if workers == 1 else 's'}",
    )
