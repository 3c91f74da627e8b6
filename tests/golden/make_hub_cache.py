"""The cache that huggingface_hub makes of the repository in tests/hub/faults.rs, as a list of paths and links.

    pip install huggingface_hub==2.4.0
    make_hub_cache.py OUT.txt

A local server serves the two files with the hub's headers. Locks and the tag for backup programs are left out.
"""

import hashlib, http.server, os, sys, tempfile, threading

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"a": 1}',
    "model.safetensors": bytes(((n * 31 + n // 251) % 256) ^ 1 for n in range(300_000)),
}


def tag(data):
    if len(data) >= 1000:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, body):
        data = FILES.get(self.path.split("?")[0].rsplit("/", 1)[1])
        if data is None:
            return self.send_error(404)
        self.send_response(200)
        for name, value in [
            ("X-Repo-Commit", COMMIT),
            ("ETag", f'"{tag(data)}"'),
            ("X-Linked-ETag", f'"{tag(data)}"'),
            ("X-Linked-Size", str(len(data))),
            ("Content-Length", str(len(data))),
        ]:
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    from huggingface_hub import hf_hub_download

    with tempfile.TemporaryDirectory() as cache:
        for name in FILES:
            hf_hub_download("org/name", name, cache_dir=cache)
        lines = []
        for folder, folders, files in os.walk(cache):
            folders[:] = sorted(f for f in folders if f != ".locks")
            for name in files:
                path = os.path.join(folder, name)
                shown = os.path.relpath(path, cache)
                if name == "CACHEDIR.TAG":
                    continue
                link = f" -> {os.readlink(path)}" if os.path.islink(path) else f" {os.path.getsize(path)}"
                lines.append(shown + link)
    with open(sys.argv[1], "w") as out:
        out.write("\n".join(sorted(lines)) + "\n")


main()
