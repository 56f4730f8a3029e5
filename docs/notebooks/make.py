"""The notebooks of the documentation: ``python docs/notebooks/make.py`` writes and runs them.

A notebook is a page of the documentation, its text and its code in cells, with what the code shows.
Running them needs ``nbclient`` and ``ipykernel``.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["PAGES", "cells", "notebook"]

HERE = Path(__file__).parent
PAGES = ("start", "tutorial_table", "tutorial_experiments")
_BLOCK = re.compile(r"^```python\n(.*?)^```\n?", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:|#)([^)]+)\)")


def cells(text: str) -> list[dict[str, Any]]:
    """The cells of a page, not run: its text, and its blocks of Python."""
    found: list[dict[str, Any]] = []
    place = 0
    for block in _BLOCK.finditer(text):
        found += _prose(text[place : block.start()])
        found.append(_code(block[1].rstrip("\n")))
        place = block.end()
    found += _prose(text[place:])
    for number, cell in enumerate(found):
        cell["id"] = f"cell-{number}"
    return found


def _prose(text: str) -> list[dict[str, Any]]:
    text = _LINK.sub(r"](../\1)", text.strip("\n"))
    if not text:
        return []
    return [{"cell_type": "markdown", "metadata": {}, "source": text}]


def _code(source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "metadata": {},
        "source": source,
        "execution_count": None,
        "outputs": [],
    }


def notebook(name: str) -> dict[str, Any]:
    """The notebook of a page, not run."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells((HERE.parent / f"{name}.md").read_text(encoding="utf-8")),
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def run(name: str) -> Any:
    """The notebook of a page with what it shows, run in a fresh kernel and an empty folder."""
    import nbformat
    from nbclient import NotebookClient

    made = nbformat.from_dict(notebook(name))
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(made, timeout=600, resources={"metadata": {"path": folder}})
        client.execute()
    for cell in made.cells:
        cell.metadata.pop("execution", None)  # when it ran
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _of_this_machine(output)]
    return made


def _of_this_machine(output: Any) -> bool:
    """Whether an output says what is installed here, with its path: widgets are not needed."""
    return "IProgress not found" in "".join(output.get("text", ""))


def main() -> None:
    """Write every notebook beside this file."""
    for name in PAGES:
        text = json.dumps(run(name), indent=1, ensure_ascii=False)
        (HERE / f"{name}.ipynb").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
