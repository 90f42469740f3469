"""What the bench talks to: nginx where it is installed, since a Python server is the bottleneck; else the sandbox."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTACTS = [
    {
        "first_name": first,
        "last_name": "Lindqvist",
        "email": f"{first.lower()}.lindqvist@northwind.example",
        "email_confidence": 0.98 - n / 20,
        "phone": f"+1-555-123-45{n:02}",
        "phone_confidence": 0.95 - n / 20,
        "title": title,
        "department": "Executive",
    }
    for n, (first, title) in enumerate(
        [("Jane", "CEO"), ("Omar", "CTO"), ("Mia", "CFO"), ("Ivo", "VP Sales"), ("Lea", "Buyer"), ("Kim", "Clerk")]
    )
]
ANSWER = orjson.dumps({"success": True, "data": {"contacts": CONTACTS, "total": 6, "credits_remaining": 900_000}})
"""Every search's answer, six contacts long."""

CONF = """
load_module {modules}/ngx_http_echo_module.so;
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; {what} }}
  }}
}}
"""


class Upstream(NamedTuple):
    """A running server: its base URL, and what it is."""

    base: str
    what: str


@contextmanager
def upstream(latency: float) -> Iterator[Upstream]:
    """Run a server whose answers take `latency` seconds."""
    modules = _echo_module()
    with tempfile.TemporaryDirectory() as folder:
        process, base = _nginx(Path(folder), modules, latency) if modules else sandbox(latency)
        try:
            yield Upstream(base, "nginx" if modules else "the sandbox, a Python process: nginx with echo is not here")
        finally:
            process.terminate()
            process.wait()


def sandbox(latency: float) -> tuple[subprocess.Popen[str], str]:
    """Start a sandbox in a process of its own; return it and its base URL."""
    command = [sys.executable, "-m", "pipeline", "sandbox", "--port", "0", "--latency", str(latency)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    base = process.stderr.readline().split(" at ")[1].split()[0]
    return process, base


def _echo_module() -> str | None:
    """Where nginx keeps its modules, if it is installed with the one that can wait."""
    nginx = shutil.which("nginx")
    if nginx is None:
        return None
    told = subprocess.run([nginx, "-V"], capture_output=True, text=True, check=False).stderr
    found = re.search(r"--modules-path=(\S+)", told)
    return found[1] if found and (Path(found[1]) / "ngx_http_echo_module.so").exists() else None


def _nginx(folder: Path, modules: str, latency: float) -> tuple[subprocess.Popen[str], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = f"'{ANSWER.decode()}'"
    # `echo_sleep` needs `echo`; `return` is the quickest where nothing has to wait.
    what = f"echo_read_request_body; echo_sleep {latency}; echo -n {text};" if latency else f"return 200 {text};"
    (folder / "conf").write_text(CONF.format(modules=modules, folder=folder, port=port, what=what))
    command = [shutil.which("nginx") or "nginx", "-p", str(folder), "-c", str(folder / "conf")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, f"http://127.0.0.1:{port}/v1"
        time.sleep(0.05)
    raise RuntimeError(f"nginx does not start: {process.stderr and process.stderr.read()}")
