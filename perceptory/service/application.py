"""The routes of the service."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from perceptory.errors import InputError
from perceptory.service.batches import Batches, FullError
from perceptory.service.measures import Measures
from perceptory.service.page import page
from perceptory.service.schema import metadata, openapi
from perceptory.service.shelf import Served, Shelf
from perceptory.service.tensors import Asked, asked_by, rows_of_frame, tensor_of

log = logging.getLogger("perceptory")

LOOK = 1.0  # seconds between two looks at the model files
LENGTH = "inference-header-content-length"
OPEN = ("/v2/health/live", "/v2/health/ready", "/ping")  # without a token: for those who restart services
EXTENSIONS = ["binary_tensor_data"]
ELSEWHERE = {
    404: "there is nothing at this address. See / or /openapi.json.",
    405: "this address takes another method.",
}

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Limits:
    """body: bytes of a request. seconds: until an answer. rows: that may wait. token: whom to answer; None for all.
    hosts: names under which the service may be called; () for all."""

    body: int = 64 << 20
    seconds: float = 30.0
    rows: int = 200_000
    token: str | None = None
    hosts: tuple[str, ...] = ()


class ProblemError(Exception):
    """What a request gets in place of an answer."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None):
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers or {}


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


class Service:
    """Handlers over the models of a shelf."""

    def __init__(self, shelf: Shelf, limits: Limits):
        self.shelf, self.limits = shelf, limits
        self.measures = Measures()
        self.batches = Batches(self.measures, limits.rows)
        self.measures.watch("waiting_rows", "Rows that wait to be predicted", lambda: self.batches.waiting)
        self.measures.watch("models_swapped", "Models replaced by those of new files", lambda: shelf.swapped)
        self.measures.watch("models", "Models in use", lambda: len(shelf))

    # --- what a model is -----------------------------------------------------------------------------------------

    async def server(self, _: Request) -> Response:
        return Json({"name": "perceptory", "version": version("perceptory"), "extensions": EXTENSIONS})

    async def live(self, _: Request) -> Response:
        return Json({"live": True})

    async def ready(self, _: Request) -> Response:
        return Json({"ready": True})

    async def model(self, request: Request) -> Response:
        return Json(metadata(self._served(request)))

    async def model_ready(self, request: Request) -> Response:
        served = self._served(request)
        return Json({"name": served.name, "ready": True})

    async def models(self, _: Request) -> Response:
        return Json({"models": [metadata(served) for served in self.shelf]})

    # --- predictions ---------------------------------------------------------------------------------------------

    async def infer(self, request: Request) -> Response:
        """V2: tensors in, tensors out."""
        served = self._served(request)
        body = await self._body(request)
        asked = asked_by(*_parted(body, request.headers.get(LENGTH)))
        answers = await self._answers(served, asked.rows, asked.count, asked.interval)
        return _tensors(served, asked, answers)

    async def invocations(self, request: Request) -> Response:
        """MLflow's: a frame in, predictions out."""
        served = self._served(request)
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
        if kind not in ("application/json", "text/json"):
            raise ProblemError(415, f"a request needs application/json, got {kind!r}.")
        rows, count, interval = rows_of_frame(_json(await self._body(request)))
        answers = await self._answers(served, rows, count, interval)
        names = list(answers)
        if len(names) == 1:
            return Json({"predictions": _listed(answers[names[0]])})
        if served.model.classes is not None:
            labels = next(c["classes"] for c in served.outputs() if "classes" in c)
            return Json(
                {
                    "predictions": _listed(answers[names[0]]),
                    "probability": _listed(answers["probability"]),
                    "classes": labels,
                }
            )
        lists = {name: _listed(values) for name, values in answers.items()}
        return Json({"predictions": [dict(zip(names, row, strict=True)) for row in zip(*lists.values(), strict=True)]})

    async def _answers(self, served: Served, rows: Any, count: int, interval: float | None) -> dict[str, Any]:
        if not count:
            raise ProblemError(422, "there is no row to predict. Give at least one.")
        try:
            answers = await asyncio.wait_for(
                self.batches.predict(served, rows, count, interval), timeout=self.limits.seconds
            )
        except FullError:
            raise ProblemError(
                503,
                f"{self.batches.waiting} rows wait to be predicted, and more may not. Come again.",
                {"Retry-After": "1"},
            ) from None
        except TimeoutError:
            raise ProblemError(504, f"{count} rows were not predicted within {self.limits.seconds:g} s.") from None
        self.measures.rows(served.name, count)
        return answers

    def _served(self, request: Request) -> Served:
        name = request.path_params.get("model")
        if name is None:
            if len(self.shelf) == 1:
                return next(iter(self.shelf))
            raise ProblemError(
                404, f"there are several models: {', '.join(s.name for s in self.shelf)}. Name one: /models/NAME/..."
            )
        served = self.shelf.get(name)
        if served is None:
            raise ProblemError(404, f"there is no model {name!r}. There are: {', '.join(s.name for s in self.shelf)}.")
        asked = request.path_params.get("version")
        if asked not in (None, served.version):
            raise ProblemError(404, f"model {name} is version {served.version}, not {asked!r}.")
        return served

    async def _body(self, request: Request) -> bytes:
        """Raises `ProblemError` where it is too large, without reading more than that."""
        most = self.limits.body
        too_large = ProblemError(
            413, f"a request may have {most} bytes. Send fewer rows at a time.", {"Connection": "close"}
        )
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise too_large
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise too_large
            parts.append(part)
        return b"".join(parts)

    # --- for people and machines that watch ----------------------------------------------------------------------

    async def page(self, _: Request) -> Response:
        return HTMLResponse(page(list(self.shelf)), headers={"Content-Security-Policy": POLICY})

    async def report(self, request: Request) -> Response:
        served = self._served(request)
        if served.report is None:
            raise ProblemError(404, f"model {served.name} has no report, since its file is not in a run folder.")
        return FileResponse(served.report, media_type="text/html")

    async def openapi(self, _: Request) -> Response:
        return Json(openapi(list(self.shelf), self.limits.token is not None))

    async def metrics(self, _: Request) -> Response:
        return Response(self.measures.text(), media_type=self.measures.content_type)

    # --- the way of every request --------------------------------------------------------------------------------

    def answer(
        self, route: str, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """The handler with what holds for all: who may ask, sentences for what goes wrong, and what is counted."""

        async def answer(request: Request) -> Response:
            began = time.perf_counter()
            try:
                self._check(request)
                response = await handler(request)
            except ProblemError as problem:
                response = Json({"error": problem.sentence}, problem.status, problem.headers)
            except InputError as error:
                response = Json({"error": str(error)}, 422)
            except ClientDisconnect:
                response = Json({"error": "the client hung up."}, 499)
            except Exception:
                log.exception("perceptory: a request to %s failed", route)
                response = Json({"error": "the service failed; its log says why."}, 500)
            self.measures.request(route, response.status_code, time.perf_counter() - began)
            return response

        return answer

    def _check(self, request: Request) -> None:
        host = request.headers.get("host", "").rsplit(":", 1)[0] if "]" not in request.headers.get("host", "") else ""
        if self.limits.hosts and host and host not in self.limits.hosts:
            raise ProblemError(421, f"this service is not called {host!r}. Use {' or '.join(self.limits.hosts)}.")
        token = self.limits.token
        if token is None or request.url.path in OPEN:
            return
        if not secrets.compare_digest(_token(request.headers.get("authorization", "")).encode(), token.encode()):
            raise ProblemError(
                401,
                "this service needs its token: Authorization: Bearer TOKEN.",
                {"WWW-Authenticate": 'Basic realm="perceptory"'},
            )


POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)


def _token(header: str) -> str:
    """Of a bearer, or the password of a browser's dialog."""
    kind, _, value = header.partition(" ")
    if kind.lower() == "basic":
        with contextlib.suppress(ValueError):
            return base64.b64decode(value, validate=True).decode("utf-8", "replace").partition(":")[2]
    if kind.lower() != "bearer":
        return ""
    return value.strip().encode("latin-1", "replace").decode("utf-8", "replace")  # headers are read as Latin-1


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProblemError(400, f"the request is no JSON: {error}.") from None


def _parted(body: bytes, length: str | None) -> tuple[Any, bytes]:
    """The JSON of a request, and the binary data behind it."""
    if length is None:
        return _json(body), b""
    if not length.isdigit() or int(length) > len(body):
        raise ProblemError(
            400, f"Inference-Header-Content-Length is {length!r}, and the request has {len(body)} bytes."
        )
    return _json(body[: int(length)]), body[int(length) :]


def _tensors(served: Served, asked: Asked, answers: dict[str, Any]) -> Response:
    """The answer of V2, with binary data behind it where that was asked for."""
    unknown = [name for name in asked.outputs if name not in answers]
    if unknown:
        raise InputError(f"there is no output {unknown[0]!r}. There are: {', '.join(answers)}.")
    tensors, content = [], []
    for name in asked.outputs or answers:
        binary = asked.binary if isinstance(asked.binary, bool) else name in asked.binary
        tensor, data = tensor_of(name, answers[name], binary)
        tensors.append(tensor)
        content.append(data)
    head: dict[str, Any] = {"model_name": served.name, "model_version": served.version, "outputs": tensors}
    if asked.id is not None:
        head["id"] = asked.id
    if not any(content):
        return Json(head)
    text = orjson.dumps(head)
    headers = {"Inference-Header-Content-Length": str(len(text))}
    return Response(text + b"".join(content), media_type="application/octet-stream", headers=headers)


def _listed(values: Any) -> list[Any]:
    tensor, _ = tensor_of("", values, False)
    data: list[Any] = tensor["data"]
    if len(tensor["shape"]) == 1:
        return data
    width = len(data) // max(1, tensor["shape"][0])
    return [data[k : k + width] for k in range(0, len(data), width)]


def application(shelf: Shelf, limits: Limits | None = None) -> Starlette:
    """The service as an ASGI application."""
    service = Service(shelf, limits or Limits())
    one, versions = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/", service.page),
        ("GET", "/v2", service.server),
        ("GET", "/v2/health/live", service.live),
        ("GET", "/v2/health/ready", service.ready),
        ("GET", "/ping", service.live),
        ("GET", "/v2/models", service.models),
        ("GET", one, service.model),
        ("GET", versions, service.model),
        ("GET", f"{one}/ready", service.model_ready),
        ("GET", f"{versions}/ready", service.model_ready),
        ("POST", f"{one}/infer", service.infer),
        ("POST", f"{versions}/infer", service.infer),
        ("POST", "/invocations", service.invocations),
        ("POST", "/models/{model}/invocations", service.invocations),
        ("GET", "/models/{model}/report", service.report),
        ("GET", "/openapi.json", service.openapi),
        ("GET", "/metrics", service.metrics),
    ]
    routes = [Route(path, service.answer(path, handler), methods=[method]) for method, path, handler in table]

    async def other(_: Request, error: Exception) -> Response:
        """What no route has taken."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        return Json({"error": ELSEWHERE.get(status, str(error))}, status)

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        async def look() -> None:
            while True:
                await asyncio.sleep(LOOK)
                await asyncio.to_thread(shelf.refresh)

        task = asyncio.create_task(look())
        try:
            yield
        finally:
            task.cancel()
            service.batches.close()

    return Starlette(routes=routes, lifespan=life, exception_handlers={HTTPException: other})
