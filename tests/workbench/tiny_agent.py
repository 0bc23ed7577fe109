"""Something that answers as the agent's process does, and starts at once."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


if __name__ == "__main__":
    host, _, port = os.environ["AGENT_BIND"].rpartition(":")
    HTTPServer((host, int(port)), _Healthy).serve_forever()
