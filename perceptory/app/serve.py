"""`perceptory serve`: runs answer requests."""

from __future__ import annotations

import os
from typing import Any

from perceptory.errors import InputError

TOKEN = "PERCEPTORY_TOKEN"


def serve(runs: list[str], host: str, port: int, token: str | None, limits: dict[str, Any]) -> None:
    """Serve these runs until a signal. limits: "mib", "seconds", "rows"."""
    from perceptory.app.stopping import gracefully
    from perceptory.service.server import LOCAL, check_address, is_local
    from perceptory.service.server import serve as run

    try:
        from perceptory.service.application import Limits
    except ImportError as error:
        raise InputError(f'serve needs {error.name}. Install it by: pip install "perceptory[serve]".') from None
    token = token or os.environ.get(TOKEN) or None
    check_address(host, port, token)
    for name, value in limits.items():
        if not value > 0:
            raise InputError(f"--max-{name} needs a positive number, got {value}.")
    hosts = LOCAL if is_local(host) else ()
    most = Limits(int(limits["mib"] * 2**20), float(limits["seconds"]), int(limits["rows"]), token, hosts)
    run(runs, host, port, most, _say, gracefully)


def _say(shelf: Any, address: str) -> None:
    for served in shelf:
        print(f"{served.name}: {served.label}, version {served.version}")
    print(f"A form to try it    {address}/")
    first = next(iter(shelf))
    print(f"Predictions         POST {address}/models/{first.name}/invocations")
    print(f"Inference protocol  POST {address}/v2/models/{first.name}/infer")
    print("Ctrl-C ends it.", flush=True)
