"""What a training run did: per module what was matched, to what distance, against which floor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from causalplug.caveats import Caveat
from causalplug.checks.fit import FitReport
from causalplug.checks.records import OverlapRecord, RangeRecord
from causalplug.planning.gradients import sentence
from causalplug.planning.objectives import OBJECTIVES
from causalplug.selection import to_dicts
from causalplug.training.validation import Distance
from causalplug.values import Json

__all__ = ["ModuleReport", "TrainingReport"]


@dataclass
class ModuleReport:
    """One trained module.

    Attributes:
        variables: Variables of the module.
        objective: What it was trained by.
        steps: Generator updates made; ``best_step`` is the one whose weights were kept.
        seconds: Wall time.
        distances: Distances of the kept weights, one per target.
        negative_log_likelihood: Held-out, per row; only for likelihood.
        converged: Whether every distance is within its bound; None where nothing was compared, as
            for a module that likelihood trained behind a generator too slow to be drawn from.
        curve: One entry per validation: step, distance and loss.
        gradients: Frozen variable that it was trained through -> how gradients passed it, in words.
    """

    variables: tuple[str, ...]
    objective: str
    steps: int = 0
    best_step: int = 0
    seconds: float = 0.0
    distances: tuple[Distance, ...] = ()
    negative_log_likelihood: float | None = None
    converged: bool | None = None
    curve: list[dict[str, float]] = field(default_factory=list)
    gradients: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The module's name, its variables joined by ``+``."""
        return "+".join(self.variables)

    def tracked(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Step and values of every validation, as trackers get them: ``<module>/<objective>/…``."""
        objectives = iter(OBJECTIVES[self.objective].phases)
        objective, last = next(objectives), 0.0
        for point in self.curve:
            if point["step"] <= last:
                objective = next(objectives)
            last = point["step"]
            yield (
                int(last),
                {f"{self.name}/{objective}/{key}": value for key, value in point.items()},
            )

    def to_dict(self) -> Json:
        """JSON values."""
        record: Json = {
            "variables": list(self.variables),
            "objective": self.objective,
            "steps": self.steps,
            "best_step": self.best_step,
            "seconds": round(self.seconds, 3),
            "distances": to_dicts(self.distances),
            "converged": self.converged,
            "curve": self.curve,
        }
        if self.negative_log_likelihood is not None:
            record["negative_log_likelihood"] = self.negative_log_likelihood
        if self.gradients:
            record["gradients"] = self.gradients
        return record


@dataclass
class TrainingReport:
    """One training run.

    Attributes:
        modules: Modules of the trained modules, in training order.
        pulled: Variables whose mechanisms were pulled and stayed frozen.
        seconds: Wall time by phase: reading, encoders, banks, training.
        settings: The configuration, JSON values.
        fits: Whether the frozen generators fit the rows; none where the check was left out.
        sources: How many rows of each source were trained on, and how often what was set took each
            of its values; from them a saved model knows how sure its answers are.
        joint: Distances of the whole model from each source, in all variables that it records; of
            sources that one module matches whole there is none.
        tolerance: Within which they have to be.
        warnings: What is doubtful beyond the modules, such as a graph that the rows contradict.
        overlap: Whether the rows support the interventions on one variable.
        ranges: The numbers that every variable of numbers took.
        unseen: Declared categories that no row has, by variable.
        rare: Categories that some rows have, but fewer than ten, with their number, by variable.
        processes: How many processes took part.
    """

    modules: list[ModuleReport]
    pulled: Sequence[str] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    settings: Json = field(default_factory=dict)
    fits: list[FitReport] = field(default_factory=list)
    sources: list[Json] = field(default_factory=list)
    joint: list[Distance] = field(default_factory=list)
    tolerance: float = 0.03
    warnings: list[Caveat] = field(default_factory=list)
    overlap: Sequence[OverlapRecord] = ()
    ranges: Mapping[str, RangeRecord] = field(default_factory=dict)
    unseen: Mapping[str, list[object]] = field(default_factory=dict)
    rare: Mapping[str, list[list[object]]] = field(default_factory=dict)
    processes: int = 1

    @property
    def converged(self) -> bool:
        """Whether every module is known to be, and the whole model has the rows' distribution."""
        modules = all(module.converged is True for module in self.modules)
        return modules and self.joint_converged

    @property
    def joint_converged(self) -> bool:
        """Whether the whole model is not known to have another distribution than the rows."""
        return all(distance.converged(self.tolerance) for distance in self.joint)

    def to_dict(self) -> Json:
        """JSON values."""
        found: Json = {
            "modules": to_dicts(self.modules),
            "pulled": list(self.pulled),
            "seconds": {key: round(value, 3) for key, value in self.seconds.items()},
            "settings": self.settings,
            "processes": self.processes,
            "fits": to_dicts(self.fits),
            "sources": self.sources,
            "joint": to_dicts(self.joint),
            "joint_converged": self.joint_converged,
            "warnings": to_dicts(self.warnings),
            "overlap": to_dicts(self.overlap),
            "ranges": {name: record.to_list() for name, record in self.ranges.items()},
        }
        if self.unseen:
            found["unseen"] = dict(self.unseen)
        if self.rare:
            found["rare"] = dict(self.rare)
        return found

    def rows(self) -> list[tuple[str, ...]]:
        """The report as a table of text, its header first: a line per module and target, then
        what was pulled."""
        lines: list[tuple[str, ...]] = [
            (
                "module",
                "objective",
                "matched",
                "TVD",
                "floor",
                "MMD²",
                "C2ST",
                "steps",
                "seconds",
                "",
            )
        ]
        for module in self.modules:
            for index, d in enumerate(module.distances or (None,)):
                first = index == 0
                lines.append(
                    (
                        module.name if first else "",
                        module.objective if first else "",
                        d.target if d else "",
                        _number(d.tvd if d else None),
                        _number(d.floor if d else None),
                        _number(d.mmd if d else None),
                        _number(d.c2st if d else None),
                        str(module.steps) if first else "",
                        f"{module.seconds:.1f}" if first else "",
                        _VERDICTS[module.converged] if first else "",
                    )
                )
        verdicts = {fit.name: f"{fit.verdict} for the rows" for fit in self.fits}
        pulled = []
        for name in self.pulled:
            pulled.append((name, "pulled", "frozen", *[""] * 6, verdicts.get(name, "")))
        return lines + pulled

    def __str__(self) -> str:
        lines = self.rows()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = []
        for line in lines:
            table.append(
                "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
            )
        if any(d.tvd is not None for module in self.modules for d in module.distances):
            table.append(_LEGEND)
        table += [sentence(m.name, m.gradients) for m in self.modules if m.gradients]
        for fit in self.fits:
            table += [f"{fit.name}: {reason}" for reason in fit.reasons]
        if self.processes > 1:
            table.append(f"{self.processes} processes took part.")
        return "\n".join(table)

    def _repr_html_(self) -> str:
        from causalplug.notebook import html_paragraph, html_table

        head, *rows = self.rows()
        spent = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in self.seconds.items())
        state = "NOT all modules are known to have converged"
        if self.converged:
            state = "converged"
        text = f": {state}. Seconds: {spent or 'not measured'}."
        return html_paragraph("Training", text) + html_table(head, rows)


_LEGEND = (
    "TVD: total variation distance from held-out rows; floor: the TVD to expect from two "
    "samples of one distribution."
)
_VERDICTS = {True: "", False: "not converged", None: "not compared"}


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}"
