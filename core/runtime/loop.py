"""An event loop in a thread of its own, to which other threads hand work."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class LoopThread:
    """Runs one coroutine until it ends, and beside it what other threads hand over.

    >>> async def main() -> None:
    ...     while not thread.closing:
    ...         await thread.rest(10.0)
    >>> thread = LoopThread(main, name="example")
    >>> thread.start()
    >>> thread.soon(asyncio.sleep(0))
    True
    >>> thread.close(timeout_s=5.0)
    """

    def __init__(self, main: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Take the coroutine, which is to end soon after `closing` is true."""
        self._main = main
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def soon(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run a coroutine on the loop; may be called from any thread. False if the loop has ended."""

        def begin() -> None:
            task = self._loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        try:
            self._loop.call_soon_threadsafe(begin)
        except RuntimeError:
            work.close()
            return False
        return True

    @property
    def closing(self) -> bool:
        """Whether the thread is to end."""
        return self._closing.is_set()

    async def rest(self, seconds: float) -> None:
        """Wait on the loop, at most until the thread is to end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    def close(self, timeout_s: float) -> None:
        """Let the main coroutine end, then all others, and wait for it."""
        with contextlib.suppress(RuntimeError):  # has ended by itself
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        try:
            await self._main()
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
