"""Pages of the site that lie elsewhere in the repository, and links to them and to code."""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
PAGES = {  # by their names in the site
    "index.md": "README.md",
    "benchmarks.md": "benchmarks/README.md",
    "security.md": "SECURITY.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
ELSEWHERE = {path: name for name, path in PAGES.items()}
WIDE = {"chapter.md"}  # where code stands beside code
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^):#\s]+)(#[^)\s]*)?\)")


def on_files(files, config):
    """Add the pages that lie elsewhere."""
    for name, path in PAGES.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Let links that hold in the repository hold in the site; what is not in it is no link."""
    if page.file.src_uri in WIDE:
        page.meta["hide"] = ["toc"]
    source = PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    up = "../" * page.file.src_uri.count("/")

    def rewritten(match):
        mark, text, target, anchor = match.groups()
        path = (ROOT / source).parent / target
        place = path.resolve().relative_to(ROOT).as_posix()
        if place in ELSEWHERE:
            return f"{mark}[{text}]({up}{ELSEWHERE[place]}{anchor or ''})"
        if place.startswith("docs/"):
            return f"{mark}[{text}]({up}{place.removeprefix('docs/')}{anchor or ''})"
        return text  # a file of code, or a folder

    return LINK.sub(rewritten, markdown)
