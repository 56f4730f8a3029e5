"""The page itself, by Gradio (the extra ``demo``)."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causalplug.demo.answer import ask
from causalplug.demo.controls import Control, controls, is_askable
from causalplug.demo.drawing import answer_picture, draw_graph, picture_of
from causalplug.demo.pairs import pairs
from causalplug.demo.question import Question
from causalplug.demo.texts import about, asked, explained, refused
from causalplug.errors import CausalPlugError, DataError
from causalplug.installed import require
from causalplug.plots.images import plot_images
from causalplug.selection import within
from causalplug.values import Json, Value

if TYPE_CHECKING:
    import gradio
    from PIL.Image import Image

    from causalplug.dcm import DCM

__all__ = ["Desk", "app"]

Component = Any
"""A component, a page or an event of gradio, which need not be installed."""

Updates = list[Component]
"""Components, or what they are to show next."""


def app(dcm: DCM, *, title: str = "causalplug", n: int | None = None) -> gradio.Blocks:
    """A page to play with a model: ``app(dcm).launch()`` serves it.

    The graph is drawn and can be clicked; what is set and what was seen is chosen from lists and by
    sliders. Answers come as bars with intervals or as images before and after, with the way that
    they are worked out and what is doubtful about them. What the data do not determine is refused,
    with its bounds. Programs ask the same page through its endpoint ``/ask``.

    Args:
        dcm: The model.
        title: The heading of the page.
        n: Rows that are sampled for an answer; by default as many as
            :meth:`causalplug.DCM.estimate` takes.

    Returns:
        The page, a ``gradio.Blocks``.

    Raises:
        MissingDependencyError: The extra ``demo`` is not installed.
        DataError: The model has no variable that the page could show.
    """
    check_installed()
    return _Page(Desk(dcm, n), title).build()


def check_installed() -> None:
    """Raise if the page cannot be served or drawn.

    Raises:
        MissingDependencyError: Gradio or matplotlib is not installed.
    """
    require("the page cannot be served", "demo", "gradio", "matplotlib")


@dataclass(frozen=True)
class Shown:
    """What the page shows for one question.

    Attributes:
        question: The question in words.
        bars: A picture of the answer, or None.
        images: A picture of images before and after, or None.
        rows: The answer's table, a list of rows; empty where it has none.
        head: The names of its columns.
        words: How the answer comes about and what is doubtful.
        drivers: A picture of what the answer rests on, or None.
    """

    question: str
    bars: Image | None
    images: Image | None
    rows: list[list[Value]]
    head: list[str]
    words: str
    drivers: Image | None = None


class Desk:
    """Everything behind the page that needs no page.

    Args:
        dcm: The model.
        n: Rows that are sampled for an answer.

    Raises:
        DataError: The model has no variable that the page could show.
    """

    def __init__(self, dcm: DCM, n: int | None = None):
        self.dcm = dcm
        self.n = n
        self.controls: dict[str, Control] = controls(dcm)
        order = dcm.graph.topological_order()
        self.askable = [name for name in order if is_askable(dcm.variables[name])]
        if not self.askable:
            raise DataError(
                "the page cannot be built: the model has no discrete variable, number or image "
                "that it could show"
            )

    @property
    def start(self) -> Json:
        """What stands on the page at first: the last variable is asked for, and a cause of it
        without causes of its own is set."""
        outcome = self.askable[-1]
        above = self.dcm.graph.ancestors([outcome]) - {outcome}
        order = within(self.dcm.graph.topological_order(), above)
        roots = [n for n in order if self.controls[n].is_offered]
        do = {name: self.controls[name].start for name in roots[:1]}
        return {"outcome": outcome, "do": do, "seen": {}}

    def question(self, state: Json) -> Question:
        """The question that stands on the page."""
        return Question.of(self.dcm, state["outcome"], state["do"], state["seen"])

    def drawn(self, state: Json) -> Component:
        """The graph with what is set, seen and asked for, see
        :func:`causalplug.demo.drawing.draw_graph`."""
        return draw_graph(self.dcm, self._drawable(state))

    def _drawable(self, state: Json) -> Question:
        """The question, also where it cannot be asked."""
        return Question(state["outcome"], state["do"], state["seen"])

    def put(self, state: Json, world: str, name: str, value: str | float | None) -> Json:
        """The state with a variable set (``world="do"``) or seen (``"seen"``); None takes it
        back."""
        changed = {key: dict(state[key]) for key in ("do", "seen")}
        if value is None:
            changed[world].pop(name, None)
        else:
            changed[world][name] = value
        return {"outcome": state["outcome"], **changed}

    def answer(self, state: Json) -> Shown:
        """What the page shows for the question that stands on it; mistakes are told in words."""
        try:
            question = self.question(state)
            return self._answered(question)
        except CausalPlugError as error:
            return Shown(asked(self._drawable(state)), None, None, [], [], refused(error))

    def _answered(self, question: Question) -> Shown:
        found = ask(self.dcm, question, n=self.n)
        figure = answer_picture(found)
        bars = None if figure is None else picture_of(figure)
        images = None
        if self.dcm.variables[question.outcome].is_image and not found.refused:
            images = self._pictures(question)
        table = found.table.round(4)
        return Shown(
            asked(question),
            bars,
            images,
            table.astype(object).values.tolist(),
            list(map(str, table.columns)),
            explained(found),
            None if found.drivers is None else picture_of(found.drivers.plot()),
        )

    def _pictures(self, question: Question) -> Component:
        drawn = pairs(self.dcm, question.outcome, question)
        figure = plot_images(
            drawn.rows, width=6.5, note=drawn.note, difference=len(drawn.rows) == 2
        )
        return picture_of(figure)


class _Page:
    """The components of the page and what happens when they are used."""

    def __init__(self, desk: Desk, title: str):
        self.gr: Component = importlib.import_module("gradio")
        self.desk = desk
        self.title = title

    def build(self) -> gradio.Blocks:
        gr, start = self.gr, self.desk.start
        with gr.Blocks(title=self.title) as page:
            gr.Markdown(f"# {self.title}\n\n{about(self.desk.dcm)}")
            self.state = gr.State(start)
            with gr.Row():
                with gr.Column(scale=4, min_width=340):
                    self._left(start)
                with gr.Column(scale=5, min_width=340):
                    self._right()
            self._connect(page)
        return page

    def _left(self, start: Json) -> None:
        gr, names = self.gr, list(self.desk.dcm.variables)
        chosen = next(iter(start["do"]), names[0])
        self.graph = gr.Image(
            self.desk.drawn(start).picture,
            label="Causal graph: click a variable",
            interactive=False,
            type="pil",
            format="png",
        )
        self.chosen = gr.Dropdown(names, value=chosen, label="Variable")
        with gr.Group():
            self.seen = self._world("Was seen", "seen", chosen, start)
        with gr.Group():
            self.do = self._world("Is set", "do", chosen, start)
        self.outcome = gr.Dropdown(
            self.desk.askable, value=start["outcome"], label="What is asked for"
        )
        with gr.Row():
            self.button = gr.Button("Ask", variant="primary")
            self.clear = gr.Button("Start over")

    def _world(
        self, label: str, world: str, name: str, state: Json
    ) -> tuple[Component, Component, Component]:
        """A box to tick, a list and a slider for one world."""
        gr, looks = self.gr, self._looks(name, world, state)
        return (
            gr.Checkbox(label=label, **looks[0]),
            gr.Dropdown(show_label=False, container=False, **looks[1]),
            gr.Slider(show_label=False, **looks[2]),
        )

    def _looks(self, name: str, world: str, state: Json) -> tuple[Json, Json, Json]:
        """The properties of the three components of a world, for one variable."""
        control = self.desk.controls[name]
        value = state[world].get(name, control.first(world))
        on = name in state[world]
        box = {"value": on, "interactive": control.is_offered}
        choice: Json = {"visible": on and not control.is_slider}
        slider: Json = {"visible": on and control.is_slider}
        if control.is_slider:
            ends = {"minimum": control.low, "maximum": control.high, "step": control.step}
            slider |= {**ends, "value": value}
        else:
            choice |= {"choices": list(control.choices), "value": value}
        return box, choice, slider

    def _right(self) -> None:
        gr = self.gr
        self.asked = gr.Markdown()
        self.bars = gr.Image(show_label=False, interactive=False, type="pil", format="png")
        self.images = gr.Image(show_label=False, interactive=False, type="pil", format="png")
        self.table = gr.Dataframe(label="Numbers", interactive=False)
        self.words = gr.Markdown()
        with gr.Accordion("What drives this answer", open=False) as self.below:
            self.drivers = gr.Image(show_label=False, interactive=False, type="pil", format="png")

    @property
    def _panel(self) -> Updates:
        """The components that tell of the variable that is chosen."""
        return [self.chosen, *self.seen, *self.do]

    @property
    def _answers(self) -> Updates:
        parts = [self.asked, self.bars, self.images, self.table, self.words]
        return [*parts, self.below, self.drivers]

    def _connect(self, page: Component) -> None:
        gr, quiet = self.gr, {"show_progress": "hidden", "api_name": False}
        self.graph.select(_typed(self._clicked, gr.SelectData), self.state, self._panel, **quiet)
        self.chosen.input(self._chosen, [self.chosen, self.state], self._panel, **quiet)
        for world, parts in (("seen", self.seen), ("do", self.do)):
            for part in parts:
                part.input(
                    self._changer(world),
                    [self.state, self.chosen, *parts],
                    [self.state, self.graph, *parts],
                    **quiet,
                )
        self.outcome.input(
            self._asked_for, [self.state, self.outcome], [self.state, self.graph], **quiet
        )
        self.clear.click(
            self._cleared, None, [self.state, self.graph, self.outcome, *self._panel], **quiet
        )
        for event in (self.button.click, page.load):
            event(self._answer, self.state, self._answers, api_name=False)
        gr.api(self._by_program, api_name="ask")

    def _clicked(self, state: Json, event: Component) -> Updates:
        name = self.desk.drawn(state).at(*event.index)
        if name is None:
            return [self.gr.skip() for _ in self._panel]
        return self._chosen(name, state)

    def _chosen(self, name: str, state: Json) -> Updates:
        return [name, *self._updates(name, "seen", state), *self._updates(name, "do", state)]

    def _updates(self, name: str, world: str, state: Json) -> Updates:
        return [self.gr.update(**look) for look in self._looks(name, world, state)]

    def _changer(self, world: str) -> Component:
        """What happens when a component of a world is used."""

        def change(state: Json, name: str, on: bool, choice: Value, number: Value) -> Updates:
            control = self.desk.controls[name]
            value = number if control.is_slider else choice
            if value is None or (on and name not in state[world]):
                value = control.first(world)
            changed = self.desk.put(state, world, name, value if on else None)
            return [changed, self.desk.drawn(changed).picture, *self._updates(name, world, changed)]

        return change

    def _asked_for(self, state: Json, outcome: str) -> Updates:
        changed = {**state, "outcome": outcome}
        return [changed, self.desk.drawn(changed).picture]

    def _cleared(self) -> Updates:
        state = {**self.desk.start, "do": {}}
        name = next(iter(self.desk.controls))
        return [state, self.desk.drawn(state).picture, state["outcome"], *self._chosen(name, state)]

    def _answer(self, state: Json) -> Updates:
        shown, gr = self.desk.answer(state), self.gr
        table = {"headers": shown.head, "data": shown.rows}
        return [
            shown.question,
            gr.update(value=shown.bars, visible=shown.bars is not None),
            gr.update(value=shown.images, visible=shown.images is not None),
            gr.update(value=table, visible=bool(shown.rows)),
            shown.words,
            gr.update(visible=shown.drivers is not None),
            shown.drivers,
        ]

    def _by_program(self, outcome: str, do: Json, seen: Json) -> Json:
        """Answer a question of a program: question, table, head and words."""
        shown = self.desk.answer({"outcome": outcome, "do": do, "seen": seen})
        return {
            "question": shown.question,
            "head": shown.head,
            "rows": shown.rows,
            "words": shown.words,
        }


def _typed(function: Component, kind: Component) -> Component:
    """``function`` with its second argument declared as ``kind``, which Gradio looks at."""

    def handler(state: Component, event: Component) -> Component:
        return function(state, event)

    handler.__annotations__ = {"event": kind}
    return handler
