"""A real RTSP server of numbered pictures, for /usr/bin/python3 with gi (Debian).

    rtsp_server.py PORT WIDTHxHEIGHT FPS [USER:PASSWORD]

Serves H.264 at rtsp://127.0.0.1:PORT/cam. The first row of blocks in each picture is its number in
binary, white for 1. Prints "ready PORT", then takes "size WIDTHxHEIGHT" on stdin and ends with it.
"""

from __future__ import annotations

import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

BITS, BLOCK_PX = 16, 16


def picture(number: int, width: int, height: int) -> bytes:
    row = bytearray(b"\x40" * width)
    for bit in range(BITS):
        shade = b"\xeb" if number >> bit & 1 else b"\x10"
        row[bit * BLOCK_PX : (bit + 1) * BLOCK_PX] = shade * BLOCK_PX
    luma = bytes(row) * BLOCK_PX + b"\x60" * (width * (height - BLOCK_PX))
    return luma + b"\x80" * (width * height // 2)


class Feed:
    """Pushes pictures into the streams that clients have opened."""

    def __init__(self, size: tuple[int, int], fps: int) -> None:
        self.size, self.fps, self.number = size, fps, 0
        self.sources: list[Gst.Element] = []
        GLib.timeout_add(1000 // fps, self.push)

    def caps(self) -> str:
        return (
            f"video/x-raw,format=I420,width={self.size[0]},height={self.size[1]}"
            f",framerate={self.fps}/1"
        )

    def configure(self, factory: object, media: GstRtspServer.RTSPMedia) -> None:
        source = media.get_element().get_child_by_name("feed")
        source.set_property("caps", Gst.Caps.from_string(self.caps()))
        self.sources.append(source)
        media.connect("unprepared", lambda _: self.sources.remove(source))

    def resize(self, size: tuple[int, int]) -> None:
        self.size = size
        for source in self.sources:
            source.set_property("caps", Gst.Caps.from_string(self.caps()))

    def push(self) -> bool:
        self.number += 1
        data = picture(self.number, *self.size)
        for source in list(self.sources):
            if source.get_state(0).state == Gst.State.PLAYING:  # before, it has no clock: no times
                source.emit("push-buffer", Gst.Buffer.new_wrapped(data))
        return True


def locked(server: GstRtspServer.RTSPServer, factory: object, login: str) -> None:
    user, _, password = login.partition(":")
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    rights = "media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
    role, _ = Gst.Structure.from_string(f"viewer,{rights}")
    factory.add_role_from_structure(role)  # type: ignore[attr-defined]


def main() -> None:
    port, size, fps = sys.argv[1], sys.argv[2], int(sys.argv[3])
    Gst.init(None)
    feed = Feed(pair(size), fps)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( appsrc name=feed is-live=true do-timestamp=true format=time"
        " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 bitrate=1000"
        " ! h264parse config-interval=1 ! rtph264pay name=pay0 pt=96 )"
    )
    factory.set_shared(True)
    factory.connect("media-configure", feed.configure)
    server.get_mount_points().add_factory("/cam", factory)
    if len(sys.argv) > 4:
        locked(server, factory, sys.argv[4])
    for _ in range(200):  # the port of a killed server may be busy for a moment
        if server.attach(None):
            break
        time.sleep(0.02)
    else:
        sys.exit(f"port {port} stays busy")
    print("ready", server.get_bound_port(), flush=True)

    def order(channel: GLib.IOChannel, condition: int) -> bool:
        line = channel.readline()
        if line.startswith("size "):
            feed.resize(pair(line.split()[1]))
        if not line:
            loop.quit()
        return bool(line)

    loop = GLib.MainLoop()
    GLib.io_add_watch(GLib.IOChannel.unix_new(0), GLib.IO_IN | GLib.IO_HUP, order)
    loop.run()


def pair(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    return int(width), int(height)


main()
