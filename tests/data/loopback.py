"""A real HTTP server on the loopback interface that can be told to misbehave."""

import contextlib
import dataclasses
import http.server
import threading
import time


@dataclasses.dataclass
class Site:
    """What the server gives, and how.

    files: path -> content (bytes), or a status. ranges: whether it answers requests for a part.
    break_after: bytes after which each of the next `breaks` connections is cut. breaking: the one path of which they
    are. requests: what was asked for, in order.
    redirects: path -> the address that is sent to instead. trickle: paths of which a byte comes every hundredth of a
    second, without an end; nothing of those that are silent. prompt: how many requests are answered well before.
    sizes: whether the answer to a request for a part says how long the whole is.
    """

    files: dict
    ranges: bool = True
    break_after: int = 0
    breaks: int = 0
    breaking: str = ""
    redirects: dict = dataclasses.field(default_factory=dict)
    trickle: tuple = ()
    silent: tuple = ()
    prompt: int = 0
    sizes: bool = True
    requests: list = dataclasses.field(default_factory=list)
    url: str = ""
    over: threading.Event = dataclasses.field(default_factory=threading.Event)

    def offsets(self):
        """The first byte that each request asked for."""
        return [offset for _, offset in self.requests]


@contextlib.contextmanager
def serve(files, **behavior):
    """A running server; its Site has the address in `url`."""
    site = Site(files, **behavior)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self, site)

        def log_message(self, *_):
            """Write nothing: standard error is what the tests of the client look at."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def answer(handler, site):
    """Send what was asked for, or part of it."""
    path = handler.path.partition("?")[0]
    content = site.files.get(path, 404)
    wanted = handler.headers.get("Range")
    first, _, last = (wanted or "bytes=0-").removeprefix("bytes=").partition("-")
    offset = int(first)
    site.requests.append((path, offset))
    if path in site.silent and len(site.requests) > site.prompt:
        site.over.wait()
        return
    if isinstance(content, list):  # one answer after the other
        content = content.pop(0) if len(content) > 1 else content[0]
    if path in site.redirects:
        handler.send_response(302)
        handler.send_header("Location", site.redirects[path])
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    if isinstance(content, int):
        handler.send_error(content)
        return
    if wanted and site.ranges and offset >= len(content):
        handler.send_error(416)
        return
    part = content[offset : int(last) + 1 if last else None] if wanted and site.ranges else content
    handler.send_response(206 if wanted and site.ranges else 200)
    handler.send_header("Content-Length", str(len(part)))
    if wanted and site.ranges and site.sizes:
        handler.send_header("Content-Range", f"bytes {offset}-{offset + len(part) - 1}/{len(content)}")
    handler.end_headers()
    if path in site.trickle and len(site.requests) > site.prompt:
        with contextlib.suppress(OSError):
            for byte in part:
                handler.wfile.write(bytes([byte]))
                time.sleep(0.01)
        handler.close_connection = True
        return
    if site.breaks and site.breaking in ("", path):
        site.breaks -= 1
        handler.wfile.write(part[: site.break_after])
        handler.close_connection = True
        return
    with contextlib.suppress(ConnectionError):
        handler.wfile.write(part)
