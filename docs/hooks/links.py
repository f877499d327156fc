"""Hooks of MkDocs: pages of the site that lie outside `docs`, and links that lead out of it.

The documents are read in two places, in the repository and as a site. They are written for the
first; here a link to a page that the site also has is turned to that page, and any other link out
of `docs` to the file in the repository.
"""

import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "studies/README.md": "studies.md",
    "cluster/README.md": "cluster.md",
}
"""Files of the repository by path, and where the site has them."""
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
FENCE = re.compile(r"^(```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside `docs`."""
    for source, page in OUTSIDE.items():
        text = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: MkDocsConfig, **_: Any) -> str:
    """Return a page whose links out of `docs` lead somewhere on the site or in the repository."""
    source = source_of(page.file.src_uri)

    def turned(match: re.Match[str]) -> str:
        start, target, end = match.groups()
        return start + turn_link(target, source, page.file.src_uri, config.repo_url or "") + end

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(turned, part) for part in parts)


def source_of(page: str) -> str:
    """Return the path in the repository of a page of the site."""
    back = {target: source for source, target in OUTSIDE.items()}
    return back.get(page, f"docs/{page}")


def turn_link(target: str, source: str, page: str, repository: str) -> str:
    """Return where a link of a document leads on the site.

    Args:
        target: As it is written, without its anchor.
        source: The document's path in the repository.
        page: The document's path on the site.
        repository: Address of the repository.

    Raises:
        FileNotFoundError: The link leads nowhere.
    """
    if "://" in target or target.startswith("mailto:"):
        return target
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if not (ROOT / path).exists():
        raise FileNotFoundError(f"{source} links to {target!r}, which is not in the repository")
    if path in OUTSIDE:
        return relative(OUTSIDE[path], page)
    if path.startswith("docs/") and (ROOT / path).is_file():
        return relative(path.removeprefix("docs/"), page)
    kind = "tree" if (ROOT / path).is_dir() else "blob"
    return f"{repository.rstrip('/')}/{kind}/main/{path}"


def relative(target: str, page: str) -> str:
    """Return a path of the site relative to a page of it."""
    return posixpath.relpath(target, str(PurePosixPath(page).parent))
