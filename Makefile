# Two commands do all set-up: `make demo` and `make test`. Both build .venv themselves.
PYTHON ?= python3
PORT ?= 5000
BIN := .venv/bin
# Tests also wait: for servers, browsers and times to pass.
export PYTEST_XDIST_AUTO_NUM_WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 3 / 2 )))
# uv installs several times as fast as pip, if it's there.
INSTALL = $(if $(UV),$(UV) pip install --quiet --python $(1)/bin/python,$(1)/bin/python -m pip install --quiet)
UV := $(shell command -v uv 2>/dev/null)

.PHONY: demo test test-all coverage check imports matrix soak bench docs dist clean

demo: .venv/demo
	@PORT=$(PORT) $(BIN)/python examples/demo/app.py

# The suite on SQLite, without the slow tests.
test: .venv/test
	TEST_DATABASES=sqlite $(BIN)/python -m pytest -n auto --dist loadgroup -m "not slow" $(PYTEST_ARGS)

# The whole suite on three databases, with a browser and other software that must be installed, and a short run of
# the reliability harness.
test-all: .venv/dev .venv-sdks/done .venv-servers/done tests/browser/node_modules tests/software/clients/node_modules
	TEST_BROWSER=1 $(BIN)/python -m pytest -n auto --dist loadgroup $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,$(MAKE) soak RELIABILITY=ci)

# How much of the package the tests reach, on three databases. It must be all of what decides about data and API keys.
coverage: .venv/test
	$(BIN)/python -m pytest -n auto --dist loadgroup -m "not slow or sampled or covers" --cov --cov-report= $(PYTEST_ARGS)
	$(BIN)/python -m coverage report
	$(BIN)/python -m coverage report --fail-under=100 \
		--include='*/flask_model_registry/services/*,*/flask_model_registry/db/*,*/flask_model_registry/schemas/*,*/signals.py'

imports: .venv/dev
	$(BIN)/lint-imports

NODE_BIN := tests/browser/node_modules/.bin
PAGE := flask_model_registry/web/static
TEXTLINT := $(NODE_BIN)/textlint --format unix --rules-base-directory $(CURDIR)/tests/browser/node_modules --config scripts/prose

check: .venv/dev docs tests/browser/node_modules imports
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(TEXTLINT)/pages.json $$(git ls-files '*.md')
	$(TEXTLINT)/code.json $$(git ls-files '*.py' '*.js' '*.mjs' '*.ts' '*.html' '*.cfg' '*.toml')
	$(TEXTLINT)/package.json $$(git ls-files 'flask_model_registry/*.py' '$(PAGE)/*.js' '$(PAGE)/*.ts')
	$(BIN)/codespell *.md docs examples flask_model_registry scripts
	$(NODE_BIN)/eslint --config tests/browser/eslint.config.mjs $(PAGE)
	$(NODE_BIN)/prettier --config tests/browser/prettier.json --check $(PAGE) tests/browser/*.mjs tests/browser/*.ts
	$(NODE_BIN)/tsc -p tests/browser/tsconfig.json

tests/%/node_modules: tests/%/package.json
	npm install --prefix tests/$* --ignore-scripts --no-package-lock --no-fund --no-audit
	@touch $@

# The suite on SQLite, with each Python that is there and the oldest and newest libraries; a part is
# MATRIX_ARGS="-k lowest" or MATRIX_ARGS="-- tests/test_register.py".
matrix: .venv/dev
	$(BIN)/python -m nox $(MATRIX_ARGS)

# The reliability harness: minutes with RELIABILITY=ci, up to 20 minutes with RELIABILITY=release, otherwise with half
# an hour of load.
RELIABILITY ?= soak
RUNS_ci := 8x60
RUNS_release := 20x100
RUNS_soak := 50x200
soak: .venv/dev
	TEST_RELIABILITY=$(RELIABILITY) TEST_STATE_MACHINE=$(RUNS_$(RELIABILITY)) $(BIN)/python -m pytest -n 3 --dist worksteal \
		tests/reliability/test_served.py tests/reliability/test_generated.py tests/test_state_machine.py $(PYTEST_ARGS)

# All of it takes half an hour; BENCH_ARGS="cost --rounds 10" and the like take a part.
bench: .venv/bench
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

docs: .venv/docs
	$(BIN)/python -m sphinx -E -W -n -q docs docs/_build/html

# What is uploaded: the sdist, and the wheel that is made of it.
dist: .venv/dev
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

.venv/%: setup.cfg
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed; try: make PYTHON=python3.12"; rm -rf .venv; exit 1; }
	$(call INSTALL,.venv) --editable '.[$*]'
	@touch $@

# The packages that docs/call.md calls models with; they ask for other versions than .venv has.
.venv-sdks/done: setup.cfg tests/software/sdks.txt
	test -x .venv-sdks/bin/python || $(PYTHON) -m venv .venv-sdks
	$(call INSTALL,.venv-sdks) --editable '.[test]' --requirement tests/software/sdks.txt
	@touch $@

# The model servers that docs/providers.md was tried with; the registry itself isn't needed there.
.venv-servers/done: tests/software/servers.txt
	test -x .venv-servers/bin/python || $(PYTHON) -m venv .venv-servers
	$(call INSTALL,.venv-servers) --only-binary :all: --requirement tests/software/servers.txt
	@touch $@

clean:
	rm -rf .venv .venv-sdks .venv-servers .nox build dist docs/_build examples/demo/instance \
		tests/browser/node_modules tests/software/clients/node_modules
