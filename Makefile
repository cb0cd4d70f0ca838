# The verbs of the project. CI uses the same ones. `make` alone lists them.
# Written for GNU Make 3.81, which is what macOS has.
SHELL := /bin/sh
PY := .venv/bin/python
PORT ?= 8000

# pip, uv, Jupyter and Matplotlib keep files in the home directory; without a writable one they
# get one here.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo writable),writable)
export HOME := $(CURDIR)/.cache/home
endif

# Jupyter refuses to run as root unless told.
ifeq ($(shell id -u),0)
ROOT_TOO := --allow-root
endif

.DEFAULT_GOAL := help
.PHONY: help setup book epub pdf test lab serve refresh reset chapter faults lint format bench lock clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv, or check in a moment that it is current
	@mkdir -p "$$HOME" 2>/dev/null || true
	@tools/setup

book: setup ## build the HTML book and say where to open it
	@$(PY) -m tools.book

epub: setup ## make the book as an ePub, which the built book then offers
	@$(PY) -m tools.epub

pdf: setup ## make the book as PDFs, whole and by part (PART=data for one part); needs Chromium
	@$(PY) -m tools.pdf $(PART)

test: setup ## run everything that CI runs (ONLY=unit, CHAPTER=…, FAULTS=1, WEEKLY=1)
	@$(PY) -m tools.test $(ONLY) $(if $(CHAPTER),--chapter "$(CHAPTER)") $(if $(FAULTS),--faults) \
	    $(if $(WEEKLY),--weekly)

lab: setup ## open JupyterLab on the first notebook
	@$(PY) -m tools.lab --open --LabApp.default_url=/lab/tree/notebooks/start-here.ipynb $(ROOT_TOO)

serve: book ## build the book and serve it on http://127.0.0.1:8000 (PORT=… for another port)
	@$(PY) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT) \
	    || { echo "Is port $(PORT) taken? Try: make serve PORT=8001" >&2; exit 1; }

refresh: setup ## run chapters and store their outputs (CHAPTER=… for one)
	@$(PY) -m tools.refresh $(CHAPTER)

reset: setup ## put a chapter back as git has it, and keep yours: CHAPTER=… (without: list changes)
	@$(PY) -m tools.reset $(CHAPTER)

chapter: setup ## start a chapter from the template: NAME=… PART=…
	@$(PY) -m tools.chapter "$(NAME)" "$(PART)"

faults: setup ## seed faults in chapters and see that CI would notice (CHAPTER=… for one)
	@$(PY) -m tools.faults $(CHAPTER)

lint: setup ## check code, notebooks, spelling, workflows
	@$(PY) -m tools.lint

format: setup ## format code and notebooks
	@$(PY) -m ruff check --fix --exit-zero --quiet .
	@$(PY) -m ruff format .

bench: setup ## measure servers, chapters and the book; store the figures in data/ (CHAPTER=… for one)
	@$(PY) -m tools.bench $(CHAPTER)

COMPILE := $(PY) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate \
    --custom-compile-command "make lock"
lock: setup ## make requirements*.txt anew from pyproject.toml, with the newest versions
	@$(COMPILE) --group book --group chapters --group projects --group setup --group stays --group test \
	    pyproject.toml --output-file requirements.txt
	@$(COMPILE) --group heavy --constraint requirements.txt --output-file requirements-heavy.txt
	@$(COMPILE) --group semgrep --output-file requirements-semgrep.txt

clean: ## remove what was built and set up
	rm -rf .venv .cache _build .pytest_cache .ruff_cache
