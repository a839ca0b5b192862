"""A real HTTP server of numbered JPEG pictures, with errors on order: mjpeg_server.py PORT WxH FPS.

/cam.mjpg streams them; /broken.mjpg cuts every fifth in half; /secret.mjpg answers 401, anything
else 404. Prints "ready PORT", then takes "size WIDTHxHEIGHT" on stdin and ends with it.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

BITS, BLOCK_PX = 16, 16
SIZE = [int(part) for part in sys.argv[2].split("x")]
FPS = float(sys.argv[3])


def jpeg(number: int) -> bytes:
    image = np.full((SIZE[1], SIZE[0], 3), 96, np.uint8)
    for bit in range(BITS):
        image[:BLOCK_PX, bit * BLOCK_PX : (bit + 1) * BLOCK_PX] = 255 * (number >> bit & 1)
    return cv2.imencode(".jpg", image)[1].tobytes()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/secret.mjpg":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
        elif self.path in ("/cam.mjpg", "/broken.mjpg"):
            self.stream(self.path == "/broken.mjpg")
        else:
            self.send_error(404)

    def stream(self, breaks: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
        self.end_headers()
        for number in itertools.count(1):
            data = jpeg(number)
            if breaks and number % 5 == 0:
                data = data[: len(data) // 2]
            head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return
            time.sleep(1 / FPS)


class Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True


server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", server.server_port, flush=True)
for line in sys.stdin:
    SIZE[:] = [int(part) for part in line.split()[1].split("x")]
