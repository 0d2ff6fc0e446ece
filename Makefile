# Each target sets up what it needs; what is set up already is not installed again.
PYTHON ?= python3
BUILD ?= _build
VENV ?= .venv
ELSEWHERE ?= .venv-elsewhere
OLDEST ?= .venv-oldest
RUN := $(VENV)/bin/python -m
TOOL := PYTHONPATH=code:book/_ext:tests $(VENV)/bin/python -B tools
SPHINX := $(RUN) sphinx -c . -T -j auto
# Without a browser the tests that look at pages are left out: BROWSER=no.
LOOK := $(if $(filter no,$(BROWSER)),,browser)
export BROWSER BUILD
# Nothing that the caller has set changes what Python does or where it looks.
export LC_ALL := C
export PYTHONUTF8 := 1
unexport PYTEST_ADDOPTS PYTHONDEVMODE PYTHONHOME PYTHONOPTIMIZE PYTHONPATH \
  PYTHONSTARTUP PYTHONWARNINGS
.DELETE_ON_ERROR:
.PHONY: help html pdf epub test check faults mutants elsewhere oldest bench live lint linkcheck browser times inventory picture lock clean

help:  ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile

html:  ## run every example of the book, and write _build/html
pdf:  ## the book on paper, of the same run if asked for together
epub:  ## the book for e-readers, likewise
ASKED := $(filter html pdf epub,$(MAKECMDGOALS))
html pdf epub: built
.PHONY: built
built: $(VENV)/ready $(if $(filter pdf,$(ASKED)),browser)
	@$(TOOL)/build.py $(or $(ASKED),html)

test: $(VENV)/ready $(LOOK)  ## check what every change can break (needs a browser)
	$(RUN) ruff check --quiet .
	$(RUN) ruff format --quiet --check .
	$(RUN) pytest -n auto --dist worksteal $(TESTS)

check: $(VENV)/ready browser  ## check the rest: types, paper, e-readers, listings, phones
	$(RUN) mypy
	$(RUN) pytest -n auto --dist worksteal -m "check and not faults" $(TESTS)

faults: $(VENV)/ready browser  ## put in every fault of FAULTS.md, run every download
	$(RUN) pytest -n auto --dist worksteal -m "" tests/faults
	$(RUN) pytest -n auto --dist worksteal -m faults tests/site

mutants: $(VENV)/ready  ## change the package in every small way (an hour)
	$(TOOL)/mutants.py

# Nothing of tests/elsewhere is a part of the other tests, nor its packages of .venv.
ALONE := -m pytest -p no:cacheprovider --noconftest
elsewhere: $(ELSEWHERE)/ready oldest  ## try other people's models and trainers
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(ELSEWHERE)/bin/python $(ALONE) -W ignore \
	  tests/elsewhere
	@echo "What was left out of each model: $(BUILD)/elsewhere/left-out.txt"

oldest: $(OLDEST)/ready  ## test the package with the oldest versions it takes
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python $(ALONE) -rs --hypothesis-profile=ci \
	  -W ignore::DeprecationWarning -W ignore::FutureWarning tests/shortcuts

bench: $(VENV)/ready browser  ## time ensembles, builds and tests, as ratios
	OMP_NUM_THREADS=1 $(TOOL)/bench.py

live: $(VENV)/ready  ## show the book while you write, rebuilt at each change
	$(RUN) sphinx_autobuild -c . -T -j auto -d "$(BUILD)/live/doctrees" \
	  --watch code --watch conf.py book "$(BUILD)/live/html"

lint: $(VENV)/ready  ## mend style, and say what cannot be mended
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

linkcheck: $(VENV)/ready  ## ask every outside link of the book (needs a network)
	$(SPHINX) -b linkcheck -d "$(BUILD)/links/doctrees" book "$(BUILD)/links/report"

browser: $(VENV)/ready  ## install Chromium, if there is no such browser
	@$(TOOL)/browser.py

times: $(VENV)/ready  ## measure anew what share of the time each chapter takes
	$(TOOL)/times.py

inventory: $(VENV)/ready  ## fetch anew where torch documents what the book names
	$(TOOL)/inventory.py

picture: html  ## draw the picture of the README anew, from the landing page
	$(TOOL)/picture.py

lock: $(VENV)/ready  ## write constraints.txt anew from requirements.txt
	$(RUN) pip install --quiet uv==0.13.9
	for folder in . tests/elsewhere; do \
	  $(RUN) uv pip compile --quiet --universal --python-version 3.11 --no-annotate \
	    --no-header $$folder/requirements.txt -o $$folder/constraints.txt || exit 1; done

clean:  ## remove all that was built, but not .venv
	rm -rf "$(BUILD)" .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Set-up: the oldest Python that will do, the module venv, then the exact versions.
# $(call set_up,FOLDER,WHAT PIP IS GIVEN)
define set_up
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  found=$$("$(PYTHON)" --version 2>&1) || found='no such program'; \
	  echo "The book needs Python 3.11 or newer; $(PYTHON) is: $$found." \
	    "Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no module venv; on Debian and Ubuntu:" \
	    "apt install python3-venv" >&2; exit 1; }
	@case "$$(ls -A $(1) 2>/dev/null)" in ""|*pyvenv.cfg*) ;; *) \
	  echo "$(1) is there, and no virtual environment: name another." >&2; exit 1; esac
	@mkdir -p $(dir $(1)) && mkdir $(1).setup || { \
	  echo "Is another make setting up $(1)?" \
	  "Wait for it; if there is none: rmdir $(1).setup" >&2; exit 1; }; \
	trap 'rmdir $(1).setup' EXIT && trap 'exit 1' HUP INT QUIT TERM && \
	"$(PYTHON)" -m venv --clear $(1) && \
	$(1)/bin/python -m pip install --disable-pip-version-check $(2) && \
	touch $(1)/ready
endef

$(VENV)/ready: requirements.txt constraints.txt
	$(call set_up,$(VENV),-r requirements.txt -c constraints.txt)

THERE := tests/elsewhere
$(ELSEWHERE)/ready: $(addprefix $(THERE)/,requirements.txt constraints.txt alone.txt)
	$(call set_up,$(ELSEWHERE),-r $(THERE)/requirements.txt -c $(THERE)/constraints.txt && \
	  $(ELSEWHERE)/bin/python -m pip install --no-deps -r $(THERE)/alone.txt)

$(OLDEST)/ready: pyproject.toml tools/oldest.py $(THERE)/oldest.txt | $(VENV)/ready
	@mkdir -p "$(BUILD)/elsewhere"
	@$(TOOL)/oldest.py "$(PYTHON)" > "$(BUILD)/elsewhere/oldest.txt"
	$(call set_up,$(OLDEST),-r "$(BUILD)/elsewhere/oldest.txt" -r $(THERE)/oldest.txt)
