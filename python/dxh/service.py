# SPDX-License-Identifier: MIT
"""The service: who answers requests, in threads, in a coroutine or one by one."""

from __future__ import annotations

import asyncio
import enum
import threading
import time
from typing import (
    TYPE_CHECKING,
    AsyncIterator,
    Awaitable,
    Callable,
    Final,
    Iterator,
    NamedTuple,
    TypeVar,
    Union,
)

from . import _native
from .errors import ClosedError, Error, StateError, WaitTimeoutError
from .local import Local
from .log import logger
from .loops import Descriptor
from .status import Status

if TYPE_CHECKING:
    from .buffers import Buffer

__all__ = ["Client", "LATER", "Request", "Service"]


class _Later(enum.Enum):
    LATER = "LATER"


#: Returned by a handler that keeps the request and answers it later, from any thread.
LATER: Final = _Later.LATER


class Client(NamedTuple):
    """Who sent a request."""

    name: str  #: of its hub, as it says
    key: str  #: its public key, which it has proved to have; "" without CURVE
    address: str  #: where it is connected from, as ZeroMQ tells it; "" over inproc
    incarnation: int  #: of its peer: the same over reconnects, as it says


class Request(Local):
    """A request, or a notification, that was received. Answer it once: from any thread, now
    or later. One that is dropped unanswered is rejected.

    Its budget, its client and whether it was cancelled can be asked until it is answered
    (:class:`dxh.StateError`) or its hub closed (:class:`dxh.ClosedError`).
    """

    __slots__ = ("_native",)

    def __init__(self, native: _native.Request) -> None:
        self._native = native

    @property
    def subject(self) -> str:
        """What it is about, as the client wrote it: the name of its handler."""
        return self._native.subject

    @property
    def body(self) -> bytes:
        """What came with it, as bytes; empty without one. :func:`numpy.frombuffer` makes an array of
        it without a copy."""
        return self._native.body

    @property
    def is_notification(self) -> bool:
        """There is nothing to answer."""
        return self._native.is_notification

    @property
    def attempt(self) -> int:
        """0 the first time; one more each time the client has sent it again."""
        return self._native.attempt

    @property
    def budget(self) -> float | None:
        """Seconds left to answer, 0 or less when it is too late; ``None``: no deadline."""
        return self._native.budget

    @property
    def canceled(self) -> bool:
        """The client cancelled it or is gone: no answer will be read."""
        return self._native.canceled

    @property
    def client(self) -> Client:
        """Who sent it."""
        return Client(*self._native.client)

    @property
    def is_open(self) -> bool:
        """Whether it can still be answered."""
        return self._native.is_open

    def reply(self, body: Buffer | None = None) -> None:
        """Answer. Raises :class:`dxh.TooBigError` (the client gets that error instead);
        :class:`dxh.StateError`: it was answered already, or is a notification;
        :class:`dxh.ClosedError`."""
        self._native.reply(body)

    def reject(self, text: str, status: Status = Status.REJECTED) -> None:
        """Answer with an error: the client raises the class of ``status`` with ``text``, of a status
        that it does not know :class:`dxh.RejectedError`. Raises :class:`dxh.InvalidError` for
        :attr:`dxh.Status.OK`; as :meth:`reply`."""
        self._native.reject(status, text)

    def release(self) -> None:
        """Give it back; a request that was not answered is rejected."""
        self._native.release()


#: More are a mistake: they would only wait for the interpreter's lock, and for memory.
_THREADS_MAX = 1000

Answer = Union["Buffer", None, _Later]
Handler = Union[Callable[[Request], Answer], Callable[[Request], Awaitable[Answer]]]
_H = TypeVar("_H", bound=Handler)


def _answer(request: Request, answer: Answer) -> None:
    if answer is LATER:
        return
    if request.is_notification:
        request.release()
    elif request.is_open:
        request.reply(answer)


def _answer_with_error(request: Request, error: BaseException) -> None:
    if not isinstance(error, Error):
        logger.error("the handler of %r failed", request.subject, exc_info=error)
    if request.is_notification or not request.is_open:
        request.release()
    elif isinstance(error, Error):
        request.reject(str(error), error.status)
    else:
        request.reject(f"{type(error).__name__}: {error}")


class _Server(threading.Thread):
    """Runs handlers."""


def _join(thread: threading.Thread) -> None:
    """Wait for its end, also of one whose start was interrupted: if it has not begun it never does, or
    finds its service stopped."""
    while thread.ident is not None:
        try:
            thread.join()
            return
        except RuntimeError:  # it begins just now
            time.sleep(0)


class Service(Local):
    """Listens on an endpoint; made by :meth:`dxh.Hub.serve`. Use one of three ways:

    - handlers, set with :meth:`on`, run by :meth:`start` in threads of their own, or by
      :meth:`run` in this one;
    - the same handlers, or coroutines, run by ``await service.run_async()``;
    - :meth:`receive`, or ``for request in service``.

    A handler returns the body of its reply, ``None`` for an empty one, or :data:`dxh.LATER`. What
    it raises is the client's: an :class:`dxh.Error` with its status and text, anything else
    as :class:`dxh.RejectedError`, and goes to the log "dxh".
    """

    def __init__(self, native: _native.Service) -> None:
        self._native = native
        self._handlers: dict[str, Handler] = {}
        self._threads: list[threading.Thread] = []
        self._is_stopped = False
        self._fd: Descriptor | None = None

    @property
    def endpoint(self) -> str:
        """Where it listens, with the port that ``tcp://127.0.0.1:*`` got."""
        return self._native.endpoint

    # ---- handlers ----

    def on(self, subject: str = "") -> Callable[[_H], _H]:
        """Decorator: this function gets what comes with the subject; ``""`` gets every
        subject that has no handler of its own. Raises ValueError for a second one."""

        def register(handler: _H) -> _H:
            if subject in self._handlers:
                raise ValueError(f"the subject {subject!r} has a handler")
            self._handlers[subject] = handler
            return handler

        return register

    def _handler_of(self, request: Request) -> Handler | None:
        found = self._handlers.get(request.subject) or self._handlers.get("")
        if found is None:
            if request.is_notification:
                request.release()
            else:
                request.reject(f"nobody handles {request.subject!r}", Status.UNKNOWN)
        return found

    def _handle(self, request: Request) -> None:
        handler = self._handler_of(request)
        if handler is None:
            return
        try:
            answer = handler(request)
            if isinstance(answer, Awaitable):
                close = getattr(answer, "close", None)
                if close is not None:
                    close()
                raise StateError("a coroutine is served with run_async()")
            _answer(request, answer)
        except BaseException as error:
            _answer_with_error(request, error)
            if not isinstance(error, Exception):
                raise  # it ends this thread, of which threading says nothing for SystemExit

    def run(self) -> None:
        """Serve in this thread until :meth:`stop` or KeyboardInterrupt."""
        for request in self:
            self._handle(request)
            del request  # what a handler let go is rejected now, not with the next one

    def start(self, threads: int = 1) -> Service:
        """Serve in so many threads, until :meth:`stop` or :meth:`close`, after which it raises
        :class:`dxh.ClosedError`. What a handler raises that is no Exception, such as SystemExit,
        ends its thread. Raises ValueError for less than one or more than 1000, RuntimeError as
        :meth:`threading.Thread.start` when the system has no room for so many."""
        if not 1 <= threads <= _THREADS_MAX:
            raise ValueError(f"a service is served by 1 to {_THREADS_MAX} threads, not {threads}")
        if self._is_stopped:
            raise ClosedError("DXH_ECLOSED: the service was stopped: bind again")
        for _ in range(threads):
            thread = _Server(target=self.run, name="dxh-service", daemon=True)
            self._threads.append(thread)
            try:
                thread.start()
            except RuntimeError:  # there are too many; those that began go on until stop()
                self._threads.remove(thread)
                raise
        return self

    async def run_async(self) -> None:
        """Serve in this event loop until :meth:`stop` or cancellation. Coroutines run side by
        side, each as a task; other handlers run in the loop and must be short."""
        tasks: set["asyncio.Task[None]"] = set()
        try:
            while True:
                request = await self.receive_async()
                task = asyncio.ensure_future(self._handle_async(request))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        except ClosedError:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _handle_async(self, request: Request) -> None:
        handler = self._handler_of(request)
        if handler is None:
            return
        try:
            answer = handler(request)
            _answer(request, await answer if isinstance(answer, Awaitable) else answer)
        except Exception as error:
            _answer_with_error(request, error)

    # ---- one by one ----

    def receive(self, timeout: float | None = None) -> Request:
        """Take the next request or notification. Any thread, several at once.

        Raises :class:`dxh.WaitTimeoutError` after ``timeout`` seconds; :class:`dxh.ClosedError`
        once it was stopped.
        """
        return Request(self._native.receive(timeout))

    def _descriptor(self) -> Descriptor:
        if self._fd is None:
            self._fd = Descriptor(self._native.fd())
        return self._fd

    async def receive_async(self) -> Request:
        """The same in an event loop."""
        descriptor = self._descriptor()
        await descriptor.turn()
        while True:
            try:
                return Request(self._native.receive(0))
            except WaitTimeoutError:
                await descriptor.readable()

    async def __aiter__(self) -> AsyncIterator[Request]:
        """What comes, until it is stopped."""
        while True:
            try:
                received = [await self.receive_async()]
            except ClosedError:
                return
            yield received.pop()

    def __iter__(self) -> Iterator[Request]:
        """What comes, until it is stopped."""
        while True:
            try:
                received = [self.receive()]
            except ClosedError:
                return
            yield received.pop()  # nothing here keeps it

    # ---- publishing ----

    def publish(self, topic: str, body: Buffer | None = None) -> None:
        """Publish to everybody whose prefix the topic begins with; see
        :meth:`dxh.Peer.subscribe`. Never waits. Raises :class:`dxh.FullError`,
        :class:`dxh.TooBigError`."""
        self._native.publish(topic, body)

    # ---- the end ----

    def stop(self) -> None:
        """End the threads that receive, for good, and wait until what they are about is handled;
        called by a handler it does not wait. Requests can still be answered."""
        self._is_stopped = True
        self._native.stop()
        if isinstance(threading.current_thread(), _Server):
            return  # another handler may be about the same, and would wait for this one
        threads, self._threads = self._threads, []
        for thread in threads:
            _join(thread)

    def close(self) -> None:
        """Stop listening; what was not answered is answered with an error."""
        self.stop()
        if self._fd is not None:
            self._fd.close()
        self._native.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()
