"""The gallery: each example runs on a small setting, in a process of its own, and gets a page.

A page in ``docs/gallery/`` has the title and the text of the example's docstring, output and
pictures of the small setting, then of the full one (from the docstring, and the picture of that
name in ``docs/``), and the code. A docstring is read as Markdown: its first line is the title, and
the paragraph that begins with "Output" begins the part about the full setting.

An example does not run again unless its file, its arguments or the package has changed since.
``-D gallery_run=0`` runs none: links lead to the files where there is no page.

The lists of ``docs/examples.md`` become cards, with a picture or the output of each example.

sphinx-gallery has no place for sections without folders, runs all examples in the process of
Sphinx, and gives them neither ``__doc__`` nor ``__file__``.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy
import stand_ins

import netlayers

ROOT = Path(__file__).parents[2]
ITEM = re.compile(r"^- \[(.+?)\]\((\S+?)\):? *((?:.+\n?(?:  .+\n?)*))", re.MULTILINE)
LINES = 9  # of the output on a card
FENCE = "`" * 10  # an output may have shorter ones


def build(app):
    """Run the examples that have changed, two or more at once, and write their pages."""
    if not app.config.gallery_run:
        return
    folder = Path(app.srcdir) / "gallery"
    settings = app.config.gallery_arguments
    files = {path.relative_to(ROOT / "examples").with_suffix("").as_posix() for path in found()}
    if settings.keys() != files:
        raise RuntimeError(
            f"gallery_arguments of docs/conf.py must name all examples: {settings.keys() ^ files}"
        )
    with tempfile.TemporaryDirectory() as data, ThreadPoolExecutor(os.cpu_count()) as pool:
        environment = {**os.environ, "PYTHONWARNINGS": "error", "MPLBACKEND": "agg"}
        environment |= dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"], "1")
        if "NETLAYERS_DATA" not in os.environ:
            stand_ins.write(Path(data))
            environment |= {"NETLAYERS_DATA": data}
        package = digest_of_package()
        jobs = [
            pool.submit(write_page, name, arguments, folder, environment, package)
            for name, arguments in settings.items()
        ]
        for job in jobs:
            job.result()
    print(f"gallery: {sum(os.times()[2:4]):.0f} s of processor time")  # of its processes


def found():
    """Return the files of the examples."""
    paths = sorted((ROOT / "examples").rglob("*.py"))
    return [path for path in paths if path.name != "ports_data.py"]  # data, no example


def digest_of_package():
    """Return a digest of what every example runs on: the package, its data, NumPy, stand-ins."""
    package = Path(netlayers.__file__).parent
    kinds = {".py", ".npz", ".txt", ".html"}
    paths = [path for path in sorted(package.rglob("*")) if path.suffix in kinds]
    digest = sha256(numpy.__version__.encode())
    for path in [*paths, Path(stand_ins.__file__), *(ROOT / "examples").rglob("ports_data.py")]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def write_page(name, arguments, folder, environment, package):
    """Write the page of an example.

    Args:
        name: of its file, without ``.py``.
        arguments: the command line; None if it is not to run.
        folder: for pages and pictures.
        environment: variables of its process.
        package: the digest of the package.
    """
    file = ROOT / "examples" / f"{name}.py"
    source, page = file.read_text(encoding="utf-8"), folder / f"{name}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    title, text, full = docstring_of(source)
    parts = [f"# {title}", text]
    small = re.sub(r"--plot \S+", "", arguments or "")
    if arguments is not None:
        command = f"python examples/{name}.py {arguments}".rstrip()
        output = run_once(command, package + source, page, environment)
        parts.append("## Output of a small setting" if small else "## Output")
        parts.append(f"```bash\n{command}\n```")
        if "NETLAYERS_DATA" not in os.environ:
            parts += [note for word, note in stand_ins.NOTES.items() if word in source][:1]
        parts += [shown(path) for path in pictures_of(page)]
        parts.append(f"{FENCE}{{code-block}} none\n:class: output\n\n{output.rstrip()}\n{FENCE}")
    if full and small:
        parts += ["## Output of the full setting", full.removeprefix("Output:\n\n")]
        if (picture := folder.parent / f"{page.stem}.png").exists():
            parts.append(f"![]({os.path.relpath(picture, page.parent)})")
    path = os.path.relpath(file, page.parent).replace(os.sep, "/")
    first = ast.parse(source).body[0].end_lineno + 2  # below the docstring
    parts += [
        "## Code",
        f"The file is {{download}}`{file.name} <{path}>`.",
        f"```{{literalinclude}} {path}\n:language: python\n:lines: {first}-\n```",
    ]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def docstring_of(source):
    """Return the title of an example, its text, and what it says about the full setting."""
    title, _, text = ast.get_docstring(ast.parse(source)).partition("\n")
    paragraphs = text.strip("\n").split("\n\n")
    at = [i for i, paragraph in enumerate(paragraphs) if paragraph.startswith("Output")]
    middle = at[0] if at else len(paragraphs)
    return title.rstrip("."), "\n\n".join(paragraphs[:middle]), "\n\n".join(paragraphs[middle:])


def run_once(command, sources, page, environment):
    """Return what an example prints, from the last build if nothing has changed."""
    digest = sha256(f"{command}\n{sources}".encode()).hexdigest()
    kept = page.with_suffix(".txt")
    if kept.exists():
        before, _, output = kept.read_text(encoding="utf-8").partition("\n")
        if before == digest:
            return output
    for picture in pictures_of(page):
        picture.unlink()
    output = run(command, page, environment)
    kept.write_text(f"{digest}\n{output}", encoding="utf-8")
    return output


def run(command, page, environment):
    """Run an example in an empty folder, keep its pictures, and return what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "examples", Path(folder) / "examples")
        process = subprocess.run(
            [sys.executable, *command.split()[1:]],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        if process.returncode:
            raise RuntimeError(f"{command} failed:\n{process.stdout}")
        for picture in Path(folder).rglob("*.png"):
            shutil.copy(picture, page.with_name(f"{page.stem}-{picture.name}"))
    return process.stdout


def pictures_of(page):
    """Return the pictures of a page of the gallery."""
    return sorted(page.parent.glob(f"{page.stem}-*.png"))


def shown(picture):
    """Return a picture as Markdown; one of a few pixels is drawn larger."""
    width = int.from_bytes(picture.read_bytes()[16:20], "big")
    few = f' class="pixels" width="{4 * width}"' if width < 200 else ' class="drawn"'
    return f'<img src="{picture.name}" alt="{picture.stem}"{few}>'


def cards(app, name, content):
    """Make cards of the lists of examples, and list their pages."""
    docs = Path(app.srcdir)
    if name != "examples" or not (docs / "gallery").exists():
        return
    pages = []

    def card(match):
        label, target, text = match.groups()
        page = docs / target
        if target.startswith("gallery/"):
            pages.append(f"{label} <{target}>")
        pictures = [docs / f"{page.stem}.png", *pictures_of(page)]
        if drawn := [picture for picture in pictures if picture.exists()]:
            top = f"![]({drawn[0].relative_to(docs).as_posix()})"
        else:
            top = "\n  ".join([FENCE, *last_lines(page), FENCE])
        return f"- {top}\n\n  [{label}]({target})\n\n  {text[0].upper()}{text[1:]}\n"

    def grid(match):
        pages.clear()
        made = f"{{.cards .gallery}}\n{ITEM.sub(card, match[0])}"
        section = match.string[: match.start()].rpartition("\n## ")[2].partition("\n")[0]
        listed = "\n".join(pages)
        return f"{made}\n```{{toctree}}\n:hidden:\n:caption: {section}\n\n{listed}\n```\n"

    content[0] = re.sub(rf"(?:{ITEM.pattern})+", grid, content[0], flags=re.MULTILINE)


def last_lines(page):
    """Return the end of what an example prints, or its commands if it does not run."""
    kept = page.with_suffix(".txt")
    if kept.exists():
        return kept.read_text(encoding="utf-8").rstrip().splitlines()[1:][-LINES:]
    lines = page.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.startswith("    ")][:LINES]


def setup(app):
    """Build the gallery before the pages are read."""
    app.add_config_value("gallery_arguments", {}, "env")
    app.add_config_value("gallery_run", True, "env")
    app.connect("builder-inited", build)
    app.connect("source-read", cards, priority=600)  # after links are led to pages of the site
    return {"parallel_read_safe": True}
