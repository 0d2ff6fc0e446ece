# Each target sets up what it needs; what is set up already is not installed again.
PYTHON ?= python3
RUN := .venv/bin/python -m
SPHINX := $(RUN) sphinx -c . -T -j auto
# Nothing that the caller has set changes what Python does or where it looks.
export LC_ALL := C
export PYTHONUTF8 := 1
unexport PYTHONDEVMODE PYTHONHOME PYTHONOPTIMIZE PYTHONPATH PYTHONWARNINGS
.DELETE_ON_ERROR:
.PHONY: help html test lint bench live linkcheck picture lock clean

help:  ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile

html: .venv/ready  ## run every example of the book and write _build/html
	rm -rf _build/html _build/doctrees _build/jupyter_execute
	$(SPHINX) -W -d _build/doctrees book _build/html || { rm -rf _build/html; \
	  cat _build/failure.txt 2>/dev/null; \
	  echo "No book: the page, the cell and the reason stand above." >&2; exit 1; }
	@echo "Every example ran. Open _build/html/index.html"

test: lint  ## check the package and the book
	$(RUN) pytest

lint: .venv/ready  ## check style and types
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

bench: .venv/ready  ## time many networks at once against a loop, as ratios
	PYTHONPATH=code OMP_NUM_THREADS=1 $(RUN) tests.bench

live: .venv/ready  ## show the book while you write, rebuilt at each change
	$(RUN) sphinx_autobuild -c . -T -j auto -d _build/live/doctrees \
	  --watch code --watch conf.py book _build/live/html

linkcheck: .venv/ready  ## ask every outside link of the book (needs a network)
	$(SPHINX) -b linkcheck -d _build/links/doctrees book _build/links/report

picture: html  ## draw the picture of the README anew, from the landing page
	sed 's/ <metadata>/ <rect width="100%" height="100%" fill="white"\/>&/' \
	  _build/html/$$(sed -n 's/.*src="\(_images[^"]*\)".*/\1/p' _build/html/index.html) \
	  > .github/figure-4-12.svg

lock: .venv/ready  ## write constraints.txt anew from requirements.txt
	$(RUN) pip install --quiet uv==0.13.9
	$(RUN) uv pip compile --quiet --universal --python-version 3.11 \
	  --no-annotate --no-header requirements.txt -o constraints.txt

clean:  ## remove all that was built, but not .venv
	rm -rf _build .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Set-up: the oldest Python that will do, the module venv, then the exact versions.
.venv/ready: requirements.txt constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  found=$$("$(PYTHON)" --version 2>&1) || found='no such program'; \
	  echo "The book needs Python 3.11 or newer; $(PYTHON) is: $$found." \
	    "Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no module venv; on Debian and Ubuntu:" \
	    "apt install python3-venv" >&2; exit 1; }
	"$(PYTHON)" -m venv --clear .venv
	$(RUN) pip install --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $@
