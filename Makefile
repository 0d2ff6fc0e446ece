# Each target sets up what it needs; what is set up already is not installed again.
PYTHON ?= python3
BUILD ?= _build
VENV ?= .venv
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
.PHONY: help html pdf epub test check faults mutants bench live lint linkcheck browser times inventory picture lock clean

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

check: $(VENV)/ready browser  ## check the rest: types, paper, e-readers, downloads, phones
	$(RUN) mypy
	$(RUN) pytest -n auto --dist worksteal -m "check and not faults" $(TESTS)

faults: $(VENV)/ready browser  ## put in every fault of tests/faults/FAULTS.md
	$(RUN) pytest -n auto --dist worksteal -m "" tests/faults
	$(RUN) pytest -m faults tests/site

mutants: $(VENV)/ready  ## change the package in every small way (an hour)
	$(TOOL)/mutants.py

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
	$(RUN) uv pip compile --quiet --universal --python-version 3.11 \
	  --no-annotate --no-header requirements.txt -o constraints.txt

clean:  ## remove all that was built, but not .venv
	rm -rf "$(BUILD)" .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Set-up: the oldest Python that will do, the module venv, then the exact versions.
$(VENV)/ready: requirements.txt constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  found=$$("$(PYTHON)" --version 2>&1) || found='no such program'; \
	  echo "The book needs Python 3.11 or newer; $(PYTHON) is: $$found." \
	    "Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no module venv; on Debian and Ubuntu:" \
	    "apt install python3-venv" >&2; exit 1; }
	@case "$$(ls -A $(VENV) 2>/dev/null)" in ""|*pyvenv.cfg*) ;; *) \
	  echo "$(VENV) is there, and no virtual environment: name another." >&2; exit 1; esac
	@mkdir -p $(dir $(VENV)) && mkdir $(VENV).setup || { \
	  echo "Is another make setting up $(VENV)?" \
	  "Wait for it; if there is none: rmdir $(VENV).setup" >&2; exit 1; }; \
	trap 'rmdir $(VENV).setup' EXIT && trap 'exit 1' HUP INT QUIT TERM && \
	"$(PYTHON)" -m venv --clear $(VENV) && \
	$(RUN) pip install --disable-pip-version-check -r requirements.txt -c constraints.txt && \
	touch $@
