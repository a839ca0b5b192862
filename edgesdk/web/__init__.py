"""The live page: a sink that shows a running app in a browser.

`open_sink("web://127.0.0.1:8080", facts)` listens at once, so a busy port is known before the run
begins; the server's library is loaded then, not when this package is imported.
"""

from edgesdk.web.settings import WebSettings, settings_of
from edgesdk.web.sink import WebPage, make_sink

__all__ = ["WebPage", "WebSettings", "make_sink", "settings_of"]
