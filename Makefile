# Everything that has to be installed is installed into $(VENV) by the first target that needs it.
VENV ?= .venv
PYTHON ?= python3
LOWEST ?= .venv-lowest
WORKERS ?= 2
BIN := $(VENV)/bin
export OMP_NUM_THREADS = 1

.PHONY: cards demo docs figures recipes test test-lowest style quality benchmarks dist clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: $(VENV)/.installed  ## the main job once: P(A | do(D)) with an image between D and A
	$(BIN)/python -m recipes.mnist_frontdoor.run --output-dir runs/demo

cards: $(VENV)/.installed  ## the card of the model that the demo makes; runs the demo if it has not run
	test -d runs/demo/dcm || $(MAKE) demo
	$(BIN)/python -m recipes.mnist_frontdoor.card runs/demo/dcm

recipes: $(VENV)/.installed  ## the quick modes of all recipes, each held to its bounds
	$(BIN)/python -m recipes --workers $(WORKERS)

figures: $(VENV)/.installed  ## the figures of docs/results.md and the recipes; FIGURES="--mnist FOLDER …" names the data
	$(BIN)/python -m recipes.figures $(FIGURES)

test: $(VENV)/.installed  ## the whole test suite
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

test-lowest:  ## the whole test suite with the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt -e ".[test]"
	$(LOWEST)/bin/python -m pytest -q -n $(WORKERS) --dist loadfile

style: $(VENV)/.installed  ## format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

quality: $(VENV)/.installed  ## what a reviewer would ask for
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.installed  ## the documentation, into build/docs; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

benchmarks: $(VENV)/.installed  ## the figures of the documentation
	for script in benchmarks/*.py; do PYTHONPATH=. $(BIN)/python $$script || exit 1; done

dist: $(VENV)/.installed  ## sdist and wheel, into dist/
	rm -rf build dist
	$(BIN)/python -c "from setuptools import build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')"

clean:
	rm -rf build dist *.egg-info runs
