# Each target sets up what it needs; what is set up already is not installed again.
PYTHON ?= python3
BUILD ?= _build
VENV ?= .venv
NAME := shortcut-connections-measured
RUN := $(VENV)/bin/python -m
SPHINX := $(RUN) sphinx -c . -T -j auto
# Nothing that the caller has set changes what Python does or where it looks.
export LC_ALL := C
export PYTHONUTF8 := 1
unexport PYTEST_ADDOPTS PYTHONDEVMODE PYTHONHOME PYTHONOPTIMIZE PYTHONPATH \
  PYTHONSTARTUP PYTHONWARNINGS
.DELETE_ON_ERROR:
.PHONY: help html pdf epub test faults mutants browser lint bench times live linkcheck inventory picture lock clean

help:  ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile

# A build has a folder of its own until every example has run, so that what is
# called html is whole, whoever else builds and however this build ends. Of what
# the builder $(1) writes, it keeps $(2).
define BOOK
	@mkdir -p "$(BUILD)" && rm -rf "$(BUILD)/$(notdir $(2))"
	@new=$$(mktemp -d "$(BUILD)/building.XXXXXX") && \
	trap 'rm -rf "$$new"' EXIT && trap 'exit 1' HUP INT QUIT TERM && \
	if $(SPHINX) -W -b $(1) -d "$$new/doctrees" book "$$new/$(1)"; then \
	  rm -rf "$(BUILD)/$(notdir $(2))"; \
	  mv "$$new/$(2)" "$(BUILD)" || { rm -rf "$(BUILD)/$(notdir $(2))"; \
	    mv "$$new/$(2)" "$(BUILD)"; } && \
	  echo "Every example ran. Open $(BUILD)/$(3)"; \
	else \
	  cat "$$new/failure.txt" 2>/dev/null; \
	  echo "No book: the page, the cell and the reason stand above." >&2; exit 1; \
	fi
endef

html: $(VENV)/ready  ## run every example of the book and write _build/html
	$(call BOOK,html,html,html/index.html)

pdf: $(VENV)/ready  ## run every example, and print the book (needs Chromium)
	$(call BOOK,paper,paper/$(NAME).pdf,$(NAME).pdf)

epub: $(VENV)/ready  ## run every example, and write the book for e-readers
	$(call BOOK,epub,epub/$(NAME).epub,$(NAME).epub)

test: lint  ## check the package and the book, in a browser too
	$(RUN) pytest -n auto --dist loadfile

faults: $(VENV)/ready  ## put in every fault of tests/FAULTS.md (half an hour)
	$(RUN) pytest -n auto -m "" tests/test_faults.py

mutants: $(VENV)/ready  ## change the package in every small way (an hour)
	$(RUN) tests.mutants

browser: $(VENV)/ready  ## install Chromium for the tests, if there is no such browser
	@for name in chromium chromium-browser google-chrome; do \
	  command -v $$name && exit 0; done; \
	as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	{ $$as_root apt-get update && $$as_root apt-get install --yes chromium; } \
	  || $(RUN) playwright install --with-deps chromium

lint: $(VENV)/ready  ## check style and types
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

bench: $(VENV)/ready  ## time ensembles and builds of the book, as ratios
	PYTHONPATH=code:tests:book/_ext OMP_NUM_THREADS=1 $(RUN) tests.bench

times: $(VENV)/ready  ## measure anew what share of the time each chapter takes
	@mkdir -p "$(BUILD)" && rm -rf "$(BUILD)/times"
	TIMES=1 $(RUN) sphinx -c . -T -j 1 -W -q -d "$(BUILD)/times/doctrees" \
	  book "$(BUILD)/times/html"

live: $(VENV)/ready  ## show the book while you write, rebuilt at each change
	$(RUN) sphinx_autobuild -c . -T -j auto -d "$(BUILD)/live/doctrees" \
	  --watch code --watch conf.py book "$(BUILD)/live/html"

linkcheck: $(VENV)/ready  ## ask every outside link of the book (needs a network)
	$(SPHINX) -b linkcheck -d "$(BUILD)/links/doctrees" book "$(BUILD)/links/report"

inventory: $(VENV)/ready  ## fetch anew where torch documents what the book names
	$(VENV)/bin/python book/_ext/inventory.py

picture: html  ## draw the picture of the README anew, from the landing page
	sed 's/ <metadata>/ <rect width="100%" height="100%" fill="white"\/>&/' \
	  "$(BUILD)"/html/$$(sed -n 's/.*src="\(_images[^"]*\)".*/\1/p' "$(BUILD)"/html/index.html) \
	  > .github/figure-4-12.svg

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
