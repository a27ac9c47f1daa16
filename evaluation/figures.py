"""Figures drawn by matplotlib (the extra `plots`), written as files and put into pages."""

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cache.durable import replacing
from cache.names import FileName
from evaluation.visible import visible

NOT_INSTALLED = "no plots were drawn, since matplotlib is not installed: run `pip install -e '.[plots]'`"

BLUE, ORANGE, GREY = "#1f5fa8", "#c05621", "#8a97a6"
"""Blue for the main quantity, orange for a second one, grey for the comparison. Readers who see no red or green can
distinguish them."""

INK, PAPER, RULE = "#000000", "#ffffff", "#edf2f7"

VARIABLES = {BLUE: "accent", ORANGE: "second", GREY: "muted", INK: "ink", PAPER: "paper", RULE: "rule"}
"""Colour of a figure -> CSS variable that replaces it in a page."""

LONGEST = 48
"""Number of characters of a name that fit into a plot's margin."""

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"


def available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """A figure of a size in inches, and its axes; an array of them where there are several columns."""
    from matplotlib.figure import Figure  # not pyplot, which keeps global state and looks for a display

    made = Figure(figsize=(width, height), layout="constrained")
    return made, made.subplots(ncols=columns, sharey=True)


@contextmanager
def styled() -> Iterator[None]:
    """The style of all figures, while they are made and written."""
    import matplotlib as mpl

    # Text stays text in SVG, and the same figures give the same bytes.
    style = {"svg.hashsalt": "armorm", "svg.fonttype": "none", "font.size": 8, "axes.spines.top": False}
    style |= {"axes.spines.right": False, "axes.grid": True, "grid.color": RULE, "axes.axisbelow": True}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a name in a script that the font lacks
        yield


def write(drawn: Any, folder: Path, name: FileName) -> list[Path]:
    """Write a figure as `<name>.svg` and `<name>.png`, inside `styled`; the two files."""
    paths = [folder / f"{name}.{kind}" for kind in ("svg", "png")]
    for path in paths:
        with replacing(path) as file:
            file.write(_bytes(drawn, path.suffix.removeprefix(".")))
    return paths


def inline(drawn: Any, name: str, title: str) -> str:
    """A figure as an SVG element for a page, inside `styled`.

    Colours become the page's variables, ids are made unique by `name`, and screen readers read `title`.
    """
    root = ElementTree.fromstring(_bytes(drawn, "svg"))  # noqa: S314  # matplotlib wrote it just now
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key == f"{{{XLINK}}}href" and value.startswith("#"):
                element.set(key, f"#{name}-{value[1:]}")
            else:
                element.set(key, _themed(value.replace("url(#", f"url(#{name}-")))
    caption = ElementTree.Element(f"{{{SVG}}}title", {"id": f"{name}-title"})
    caption.text = title
    root.insert(0, caption)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title"}
    for size in ("width", "height"):
        root.attrib.pop(size)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def labels(names: list[str]) -> list[str]:
    """Names for axes, long ones shortened; dollar signs are escaped, since two of them would enclose a formula."""
    short = (name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in map(visible, names))
    return [name.replace("$", r"\$") for name in short]


def number(value: float | None) -> float:
    """The number, NaN for None."""
    return float("nan") if value is None else float(value)


def _bytes(drawn: Any, kind: str) -> bytes:
    written = BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    drawn.savefig(written, format=kind, dpi=150, metadata=metadata)
    return written.getvalue()


def _themed(value: str) -> str:
    for colour, variable in VARIABLES.items():
        value = value.replace(colour, f"var(--{variable})")
    return value
