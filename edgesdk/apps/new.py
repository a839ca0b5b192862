"""Makes the folder of a site: what it sets itself, and nothing that the shipped app has."""

from __future__ import annotations

import re
from pathlib import Path

from edgesdk._files import folder_atomic
from edgesdk.apps.folder import APP_FILE, FROM, check_name, load_app, shipped_app
from edgesdk.errors import UsageError

SITE_FILE = "site.toml"
"""In an app's folder: what its sites usually set, as a template of their app.toml."""

_HEAD = """\
# What this site sets itself. All else (code, model, other settings) is that of the app
# {app}, and is updated with edgesdk. Take the # away in front of what you need.
name = "{name}"
{key} = "{app}"
"""

_PLAIN = """
# [source]
# default = "rtsp://camera/stream"
"""

_README = """\
# {name}

A site of the app `{app}`: {title}.

`app.toml` has what this site sets itself. All else comes from the app as edgesdk ships it, and is
updated with edgesdk.

```console
$ edgesdk run                    # in this folder: what app.toml names as [source]
$ edgesdk run --source clip.mp4  # something else, once
$ edgesdk build --device orin    # the INT8 bundle {name}.edge, which runs take from then on
```
"""


def make_site(folder: Path, app: str) -> tuple[Path, ...]:
    """Make `folder`, a site of the shipped app named `app`; its files, once all are there.

    Raises UnknownName for no such app, UsageError when the name is none or something is there
    already: nothing is overwritten.
    """
    base = load_app(shipped_app(app))
    name = site_name(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is there already, and nothing is overwritten", "name another folder"
        )
    template = base.folder / SITE_FILE
    body = template.read_text("utf-8") if template.is_file() else _PLAIN
    files = {
        APP_FILE: _HEAD.format(name=name, app=app, key=FROM) + body,
        "README.md": _README.format(name=name, app=app, title=base.title),
    }
    with folder_atomic(folder) as made:
        for file, text in files.items():
            (made / file).write_text(text, "utf-8")
        load_app(made)  # a template that is wrong is known here and not on the site
    return tuple(folder / file for file in files)


def site_name(folder: Path) -> str:
    """The name of a site in `folder`: gate-3 is gate_3. Raises UsageError where it is none."""
    name = re.sub(r"[-. ]", "_", folder.resolve().name.lower())
    try:
        check_name(name)
    except ValueError as error:
        raise UsageError(f"{folder}: {error}", "such as gate or gate-3") from error
    return name
