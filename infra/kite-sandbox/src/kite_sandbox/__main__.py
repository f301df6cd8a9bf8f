"""``kite-sandbox``: serve until Ctrl-C or SIGTERM."""

import argparse
import errno
import socket
import sys

import uvicorn
from pydantic import ValidationError

from kite_sandbox import __version__
from kite_sandbox.app import create_app
from kite_sandbox.edge.wire import KiteProtocol
from kite_sandbox.journal import JournalError
from kite_sandbox.settings import Settings

GRACE_S = 2
BACKLOG = 2048


def main(arguments: list[str] | None = None) -> int:
    """Run the server; 1 when it cannot start, with the reason on stderr."""
    parser = argparse.ArgumentParser(
        prog="kite-sandbox",
        description="A server that speaks Kite Connect v3, to practise on. SANDBOX_* in the environment configure it.",
    )
    parser.add_argument("--host", help="address to listen on (SANDBOX_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (SANDBOX_PORT, 8090; 0 takes any)")
    parser.add_argument("--home", help="folder of the journal (SANDBOX_HOME, .saras/sandbox)")
    parser.add_argument("--version", action="version", version=__version__)
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    try:
        settings = Settings(**given)
        listener = bind(settings.host, settings.port)
        with listener:
            serve(settings, listener)
    except (OSError, ValidationError, ValueError, JournalError) as error:
        print(f"kite-sandbox: {error}", file=sys.stderr)
        return 1
    return 0


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; ``OSError`` that names the address when it is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(f"port {port} on {host} is in use; set SANDBOX_PORT to another one") from error
        raise
    return listener


def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve on ``listener`` until a signal."""
    host, port = listener.getsockname()[:2]
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        http=KiteProtocol,
        ws="websockets-sansio",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=75,
    )
    print(f"kite-sandbox {__version__} speaks Kite Connect v3 at http://{host}:{port}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
