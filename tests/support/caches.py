# SPDX-License-Identifier: Apache-2.0
"""A real HTTP cache: nginx with WebDAV, on this machine alone."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  client_max_body_size 1g;
  server {{
    listen 127.0.0.1:{port};
    root {folder}/store;
    location / {{
      dav_methods PUT;
      create_full_put_path on;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class HttpCache:
    """A server.

    Attributes:
        folder: where its store and its logs lie.
        port: on 127.0.0.1.
        process: of the server.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def option(self) -> str:
        """Return what makes Bazel use it."""
        return f"--remote_cache=http://127.0.0.1:{self.port}"

    def requests(self, method: str, status: int) -> int:
        """Count the requests so far of a method that were answered with a status."""
        log = self.folder / "access.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return sum(f'"{method} ' in line and f'" {status} ' in line for line in lines)

    def end(self) -> None:
        """End the server at once."""
        self.process.kill()
        self.process.wait()


def _free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@contextmanager
def http_cache(folder: Path) -> Iterator[HttpCache]:
    """Yield an empty cache whose server runs."""
    folder.chmod(0o755)
    store = folder / "store"
    store.mkdir()
    port = _free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port))
    command = ["nginx", "-c", str(configuration), "-e", str(folder / "error.log"), "-p", str(folder)]
    with subprocess.Popen(command) as process:
        cache = HttpCache(folder, port, process)
        try:
            _wait(port)
            yield cache
        finally:
            cache.end()


def _wait(port: int) -> None:
    """Wait until something listens."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    msg = f"nothing listens on port {port}"
    raise TimeoutError(msg)
