"""Where the links of a page lead, once the page is one of the site and no file of the repository.

A lesson links to lessons, to the README and to files of the agent. In the site they have pages too;
what has none there is no link there.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

_ONLY_HERE = ("127.0.0.1", "localhost")  # what ran there has ended with the run


def new_target(
    href: str, *, source: Path, page: str, page_of: Callable[[Path], str | None]
) -> str | None:
    """What `href`, written in the file `source`, has to be in the page `page` of the site.

    `page_of` tells the page of a file, by its path in the site, if it has one. None: no link.
    """
    url = urlsplit(href)
    if url.scheme or url.netloc:
        return None if url.hostname in _ONLY_HERE else href
    if not url.path:
        return href
    target = page_of((source.parent / unquote(url.path)).resolve())
    if target is None:
        return None
    fragment = f"#{url.fragment}" if url.fragment else ""
    return quote(posixpath.relpath(target, posixpath.dirname(page) or ".")) + fragment
