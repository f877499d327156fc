"""The application: what each address of the explorer answers."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from symstudy.errors import UserError
from symstudy.explore.answers import to_json
from symstudy.explore.figure import draw_figure
from symstudy.explore.guard import Guard
from symstudy.explore.live import read_state
from symstudy.explore.session import Session
from symstudy.explore.verdicts import read_drawn, read_picture
from symstudy.explore.view import RequestError

__all__ = ["create_app"]

STATIC = Path(str(resources.files("symstudy.explore") / "static"))
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
POLL_S = 2.0
"""Seconds between two looks at what has changed."""
SHARE = 10.0
"""A look is followed by a pause this many times as long as the processor worked for it.

Not as long as the clock says: where a study trains on all cores a look waits for its turn, and the
page would be minutes late just while there is something to see.
"""
MOST_PAUSE_S = 30.0


class Answers:
    """The answers of an explorer, one method an address.

    Attributes:
        session: The results.
        stopping: Set when the server ends, so that live events do.
    """

    def __init__(self, session: Session, poll_s: float = POLL_S) -> None:
        """See the class.

        Args:
            session: The results.
            poll_s: Seconds between two looks at what has changed.
        """
        self.session = session
        self.poll_s = poll_s
        self.stopping = asyncio.Event()
        self.looked = asyncio.Condition()
        self.state: bytes = b""
        self.is_warm = False
        self.has_box = False

    async def page(self, _: Request) -> Response:
        """Return the page."""
        return FileResponse(STATIC / "index.html", media_type="text/html")

    async def meta(self, _: Request) -> Response:
        """Return the studies and columns there are."""
        return await answer(self.session.meta)

    async def present(self, _: Request) -> Response:
        """Return which columns hold any value."""
        return await answer(self.session.present)

    async def panels(self, request: Request) -> Response:
        """Return what the panels show that a page asks for."""
        body = await read_body(request)

        def work() -> dict[str, Any]:
            changes = self.session.changes
            panels = self.session.panels(body.get("filters", {}), body.get("want"))
            return {"changes": changes, "panels": panels}

        return await answer(work)

    async def sql(self, request: Request) -> Response:
        """Return the first rows of answers to SELECT statements."""
        body = await read_body(request)
        queries, rows = body.get("queries"), body.get("rows", 1000)
        return await answer(lambda: {"answers": self.session.sql(queries, rows)})

    async def history(self, request: Request) -> Response:
        """Return learning curves of chosen runs."""
        body = await read_body(request)
        return await answer(lambda: self.session.curves(body.get("runs"), body.get("measure")))

    async def verdicts(self, _: Request) -> Response:
        """Return the findings kept with the results."""
        return await answer(self.session.verdicts)

    async def drawn(self, request: Request) -> Response:
        """Return what is drawn in the figure of a claim."""
        study, claim = request.path_params["study"], request.path_params["claim"]
        return await answer(lambda: read_drawn(self.session.folders, study, claim))

    async def picture(self, request: Request) -> Response:
        """Return the figure of a claim, as it lies in the results: a picture that runs nothing."""
        study, claim = request.path_params["study"], request.path_params["claim"]
        content = await run_in_threadpool(read_picture, self.session.folders, study, claim)
        policy = {"content-security-policy": PICTURE_POLICY}
        return Response(content, media_type="image/svg+xml", headers=policy)

    async def provenance(self, _: Request) -> Response:
        """Return the launches of the studies, and what each claim has cost."""
        return await answer(self.session.provenance)

    async def ran(self, request: Request) -> Response:
        """Return one text of what a launch ran: packages, changes, or a file of the user's code."""
        body = await read_body(request)
        return await answer(
            lambda: self.session.ran(body.get("study"), body.get("launch"), body.get("file"))
        )

    async def figure(self, request: Request) -> Response:
        """Return a panel drawn for print: SVG, CSV, and what it came from."""
        body = await read_body(request)
        return await answer(lambda: draw_figure(self.session, body))

    async def live(self, request: Request) -> Response:
        """Send what has changed, whenever something has."""

        async def events() -> AsyncIterator[bytes]:
            sent = b""
            while not self.stopping.is_set():
                if self.state and self.state != sent:
                    sent = self.state
                    yield b"data: " + sent + b"\n\n"
                else:
                    # A page that has gone is noticed when something is sent to it.
                    yield b": still here\n\n"
                with contextlib.suppress(TimeoutError):
                    async with self.looked:
                        await asyncio.wait_for(self.looked.wait(), 15.0)
                if await request.is_disconnected():
                    return

        return StreamingResponse(events(), media_type="text/event-stream")

    async def watch(self) -> None:
        """Look at what has changed until the server ends."""
        while not self.stopping.is_set():
            state, busy_s = await run_in_threadpool(self.look)
            if state != self.state:
                self.state = state
                async with self.looked:
                    self.looked.notify_all()
            pause = max(self.poll_s, min(SHARE * busy_s, MOST_PAUSE_S))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), pause)

    def look(self) -> tuple[bytes, float]:
        """Return what pages are told, and the processor's seconds that it took to find out."""
        start = time.thread_time()
        if self.is_warm and not self.has_box:
            self.has_box = True
            self.session.open_box()
        if not self.is_warm:
            self.is_warm = True
            self.session.warm()
        self.session.refresh()
        state = to_json(read_state(self.session))
        return state, time.thread_time() - start

    @contextlib.asynccontextmanager
    async def run(self, _: Starlette) -> AsyncIterator[None]:
        """Watch the results while the application runs."""
        task = asyncio.create_task(self.watch())
        try:
            yield
        finally:
            await self.stop()
            await task

    async def stop(self) -> None:
        """End live events, the watch, and queries that somebody waits for."""
        self.stopping.set()
        self.session.end()
        async with self.looked:
            self.looked.notify_all()


def create_app(session: Session, *, token: str, port: int, poll_s: float = POLL_S) -> Guard:
    """Return the application; it answers requests that have the token.

    Args:
        session: The results.
        token: What a page must know.
        port: Port of the server.
        poll_s: Seconds between two looks at what has changed.
    """
    answers = Answers(session, poll_s)
    app = Starlette(
        routes=[
            Route("/", answers.page),
            Route("/meta", answers.meta),
            Route("/present", answers.present),
            Route("/panels", answers.panels, methods=["POST"]),
            Route("/sql", answers.sql, methods=["POST"]),
            Route("/history", answers.history, methods=["POST"]),
            Route("/verdicts", answers.verdicts),
            Route("/figure", answers.figure, methods=["POST"]),
            Route("/figure/{study}/{claim}/drawn", answers.drawn),
            Route("/figure/{study}/{claim}", answers.picture),
            Route("/provenance", answers.provenance),
            Route("/ran", answers.ran, methods=["POST"]),
            Route("/live", answers.live),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={UserError: refused, HTTPException: not_found, Exception: crashed},
        lifespan=answers.run,
    )
    return Guard(app, token=token, port=port, stop=answers.stop)


async def answer(work: Callable[[], Any]) -> Response:
    """Return what work that may take a while gives, as JSON."""
    content = await run_in_threadpool(lambda: to_json(work()))
    return Response(content, media_type="application/json")


async def read_body(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request holds.

    Raises:
        RequestError: If it holds none.
    """
    try:
        values = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise RequestError(f"a request must be JSON, but is not: {error}") from error
    if not isinstance(values, dict):
        raise RequestError(f"a request must be a JSON object, but got {type(values).__name__}.")
    return values


async def refused(_: Request, error: Exception) -> Response:
    """Return the message about something that the user can mend."""
    return Response(to_json({"error": str(error)}), 400, media_type="application/json")


async def not_found(_: Request, error: Exception) -> Response:
    """Return that there is nothing at an address."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return Response(
        to_json({"error": "There is nothing at this address."}),
        status,
        media_type="application/json",
    )


async def crashed(_: Request, error: Exception) -> Response:
    """Return that something was not foreseen; the traceback is on the terminal."""
    message = (
        f"symstudy explore has a fault of its own: {type(error).__name__}. Its terminal says more."
    )
    return Response(to_json({"error": message}), 500, media_type="application/json")
