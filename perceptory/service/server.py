"""From a command to a server that runs."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from perceptory.errors import InputError

if TYPE_CHECKING:
    from perceptory.service.application import Limits
    from perceptory.service.shelf import Shelf

LOCAL = ("localhost", "127.0.0.1", "::1", "[::1]")
BACKLOG = 2048


UNSEEN = "column .* values that training did not have"  # of `Encoder.tell_unseen`


def check_address(host: str, port: int, token: str | None) -> None:
    """Raises `InputError` for an address that others can reach without a token, and for no port."""
    if not 0 <= port <= 65535:
        raise InputError(f"--port needs a number from 0 to 65535, got {port}.")
    if not is_local(host) and not token:
        raise InputError(
            f"--host {host} can be reached by others. Give --token, which each request then needs, or leave --host out."
        )


def is_local(host: str) -> bool:
    """Whether only this machine can call it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises `InputError` where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
    except OSError as error:
        listening.close()
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror or error}. Choose another --port.") from None
    return listening


def serve(
    runs: Sequence[str],
    host: str,
    port: int,
    limits: Limits,
    ready: Callable[[Shelf, str], None] | None = None,
    running: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
) -> None:
    """Serve these runs until a signal ends it; requests in hand are answered first. ready: called with models and
    address. running: what surrounds the server at work, which answers signals itself."""
    import uvicorn

    from perceptory.service.application import application
    from perceptory.service.shelf import Shelf

    listening = bound(host, port)
    shelf = Shelf(runs)
    number = listening.getsockname()[1]
    warnings.filterwarnings("ignore", UNSEEN)  # Python would keep each such sentence for ever
    config = uvicorn.Config(
        application(shelf, limits), log_level="error", access_log=False, lifespan="on", backlog=BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(limits.seconds) + 1, server_header=False,
    )  # fmt: skip
    listening.listen(BACKLOG)  # who asks from now on waits for the first answer
    if ready is not None:
        ready(shelf, f"http://{f'[{host}]' if ':' in host else host}:{number}")
    with running():
        uvicorn.Server(config).run(sockets=[listening])
