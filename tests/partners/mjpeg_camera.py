"""A camera on http:// that hangs up every few seconds, as a process of its own.

    mjpeg_camera.py SECONDS

Prints its port, then sends 25 JPEG pictures a second to whoever asks, and hangs up after SECONDS.
"""

from __future__ import annotations

import http.server
import sys
import time

import cv2
import numpy as np

HANGS_UP_S = float(sys.argv[1])


class Camera(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        begin, number = time.monotonic(), 0
        while time.monotonic() - begin < HANGS_UP_S:
            number += 1
            picture = np.full((160, 192, 3), number % 200, np.uint8)
            data = cv2.imencode(".jpg", picture)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return
            time.sleep(0.04)

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
