"""The page of a report, made from the templates in this folder."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evaluation import ablation_plots, decision_plots, gate_plots
from evaluation.decisions import CONFIDENT
from evaluation.figures import inline, styled
from evaluation.report.account import flat, overlap, steps
from evaluation.report.examples import pick
from evaluation.report.filters import FILTERS, UNDEFINED
from evaluation.report.head_tables import ablated, distributions, fractions, intervals, penalties
from evaluation.report.inputs import ReportInputs
from evaluation.report.suite_tables import coefficients, suite_tables
from evaluation.report.summary import sentence, tiles
from evaluation.rule_names import RULE_NAMES
from evaluation.visible import visible
from extract.style import STYLE

HERE = Path(__file__).parent

SECTIONS = {
    "results": "Results",
    "decisions": "When to abstain",
    "gate": "What counts where",
    "examples": "Best and worst examples",
    "verbosity": "Verbosity taken out",
    "heads": "Heads",
    "ablations": "What each part is worth",
    "data": "Data",
    "settings": "Settings, fingerprints, times",
}
"""Name of a section, which is its anchor and its template -> title, in reading order."""


def render(run: ReportInputs) -> str:
    """The page, from the inputs alone: the same inputs give the same bytes."""
    return _environment().get_template("page.html.jinja").render(_context(run))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finished,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment


def _finished(value: Any) -> Any:
    """Make the value of every `{{ … }}` visible before it is escaped, so that no template can forget to."""
    if isinstance(value, Markup):
        return value
    return UNDEFINED if value is None else visible(str(value))


def _context(run: ReportInputs) -> dict[str, Any]:
    first = next(iter(run.suites.values()), None)
    return {
        "run": run,
        "style": Markup((HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704  # a file of ours
        "sections": list(SECTIONS.items()),
        "summary": sentence(run),
        "tiles": tiles(run),
        "titles": RULE_NAMES,
        "marks_of_style": STYLE,
        "confident": CONFIDENT,
        "suites": [suite_tables(name, suite) for name, suite in run.suites.items()],
        "coefficients": [coefficients(suite) for suite in run.suites.values() if suite.gate_by_section],
        "examples": None if run.scored is None else pick(run.scored, run.texts, run.objectives),
        "examples_of": first.title if first else "",
        "texts": run.texts is not None,
        "penalties": penalties(run),
        "intervals": intervals(run),
        "distributions": distributions(run),
        "fractions": fractions(run),
        "ablated": list(ablated(run)),
        "figures": _figures(run),
        "overlap": list(overlap(run)),
        "steps": list(steps(run)),
        "fingerprints": list(run.fingerprints.items()),
        "settings": list(flat(run.settings)),
    }


def _figures(run: ReportInputs) -> dict[str, Markup]:
    """The figures that no table with marks can replace, as elements of the page."""
    if not run.plots:
        return {}
    drawn: dict[str, tuple[Any, str]] = {}
    with styled():
        if run.gating and run.gating.metrics:
            title = "The gate's loss by step, on training batches and on held-out pairs; numbers in the table below."
            drawn["training"] = (gate_plots.training(run.gating), title)
        for name, analysis in run.analyses.items():
            title = "Mistakes against the share of pairs that are decided; areas in the table below."
            drawn[f"decisions-{name}"] = (decision_plots.risk_coverage(analysis), title)
        if run.ablations:
            title = "Correlation against training rows, an objective a small plot; numbers in the table above."
            drawn["rows"] = (ablation_plots.rows(run.ablations), title)
            title = "Correlation of heads that read one layer, and all; numbers in the table above."
            drawn["layers"] = (ablation_plots.layers(run.ablations), title)
        return {
            name: Markup(inline(figure, name, title))  # noqa: S704  # an XML library wrote it, names escaped
            for name, (figure, title) in drawn.items()
            if figure is not None
        }
