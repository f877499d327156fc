# symstudy's tasks. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
RESULTS ?= results
STAMP   := $(VENV)/.installed
KERNELS := $(VENV)/.kernels
# Where modules are not kept compiled, each process that a test starts compiles all of symstudy.
unexport PYTHONDONTWRITEBYTECODE

# What a user has: the wheel alone, in an environment of its own.
USER_ENV := build/acceptance

.PHONY: help setup demo images paper-laptop paper-representations paper-scale paper-scale-plan test test-all test-acceptance test-faults test-mutations test-rules test-gpu check format bench bench-docs bench-gpu golden docs wheel clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(STAMP) $(KERNELS) ## Make .venv, install symstudy in it and compile its kernels.

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[cluster,dev,explore,search]' --group test --group lint --group docs
	@touch $@

# Tests that come first would wait for the compiler.
$(KERNELS): $(STAMP) $(wildcard symstudy/kernels/*.py symstudy/optimizers/*.py)
	$(BIN)/python -m symstudy.training.compile_ahead
	@touch $@

demo: setup ## The main job: three studies, SQL, findings, figures, report (minutes).
	$(BIN)/symstudy run studies/width_saturation.toml --results $(RESULTS)
	$(BIN)/symstudy run studies/rank_scaling_law.toml --results $(RESULTS)
	$(BIN)/symstudy run studies/digits.toml --results $(RESULTS)
	$(BIN)/symstudy verify $(RESULTS)
	$(BIN)/symstudy query $(RESULTS) "select study, gamma, width, count(*) as seeds, \
		avg(mean_distinct_neurons) as neurons, avg(test_loss) as test_loss from runs \
		where study = 'width_saturation' group by all order by all"
	$(BIN)/symstudy analyze $(RESULTS)
	@echo; echo "Figures:"; $(BIN)/symstudy plot $(RESULTS)
	@echo; echo "Report:"; $(BIN)/symstudy report $(RESULTS)
	@echo; echo "Ask further: $(BIN)/symstudy query $(RESULTS)"
	@echo "Look at it:  $(BIN)/symstudy explore $(RESULTS)"

images: $(STAMP) ## Fetch Fashion-MNIST and MNIST-5k into data, or SYMSTUDY_DATA, without root (a minute).
	$(BIN)/python -m symstudy.datasets.fetch

# Runs the studies named first with the options named second, and shows what comes of them.
define experiments
@set -e; for study in $(1); do \
	$(BIN)/symstudy run studies/$$study.toml $(2) --results $(RESULTS); \
done
$(BIN)/symstudy verify $(RESULTS)
$(BIN)/symstudy analyze $(RESULTS)
@echo; echo "Figures:"; $(BIN)/symstudy plot $(RESULTS)
@echo; echo "Report:"; $(BIN)/symstudy report $(RESULTS)
endef

# The paper's experiments on learning and capacity, in its order; then what theory adds to them.
PAPER := learning_jumps learning_jumps_activations mode_timing depth_escape \
	vision_transformers width_saturation width_saturation_noise restoration_by_decay phase_diagram \
	adaptive_capacity adaptive_capacity_noise adaptive_capacity_transformer \
	teacher_student_table teacher_student_transformer \
	space_quantization space_quantization_at_minima noise_weight_decay_equivalence \
	rank_scaling_law rank_scaling_law_depth rank_scaling_law_relu depth_gap

paper-laptop: setup ## The paper's experiments at laptop scale; goes on where it stopped (half an hour).
	$(call experiments,$(PAPER))

# Its experiments on representations: Figs. 4 to 6 and 11 to 15, from the shortest to the longest.
PAPER_REPRESENTATIONS := universal_alignment universal_alignment_widths neural_collapse layer_hierarchy \
	neural_collapse_resnet universal_alignment_images

paper-representations: setup images ## The paper's experiments on representations, on real images; goes on where it stopped.
	$(call experiments,$(PAPER_REPRESENTATIONS))

# The paper's experiments at its own settings as far as two cores go, from the shortest to the longest: the
# preset `scale` of each study. What takes a cluster is in docs/experiments/README.md.
PAPER_SCALE := adaptive_capacity_noise phase_diagram vision_transformers restoration_by_decay \
	adaptive_capacity_transformer layer_hierarchy teacher_student_transformer adaptive_capacity \
	learning_jumps teacher_student_table learning_jumps_activations width_saturation_noise \
	width_saturation space_quantization_at_minima

paper-scale: RESULTS := results-scale
paper-scale: setup images paper-scale-plan ## The paper's experiments at its own scale; goes on where it stopped (six hours).
	$(call experiments,$(PAPER_SCALE),--preset scale)

paper-scale-plan: setup ## How long paper-scale takes on two idle cores; trains nothing.
	@set -e; set -o pipefail; for study in $(PAPER_SCALE); do \
		$(BIN)/symstudy plan studies/$$study.toml --preset scale --workers 2 --json \
		| $(BIN)/python -c "import json, sys; plan = json.load(sys.stdin); \
			print(plan['study'], plan['runs'], 'runs', round(plan['wall_seconds'] / 60, 1), 'min')"; \
	done | awk '{ print; minutes += $$4 } END { printf "%.1f hours on two cores\n", minutes / 60 }'

test: setup ## Run the tests (minutes).
	$(BIN)/python -m pytest -n auto --dist loadgroup

# The shapes of arrays are checked in all of training here, whose tests that makes a third slower.
ALL_SHAPES = $(shell sed -n 's/.*"\(--jaxtyping-packages=.*\)beartype.beartype",/\1symstudy.training,beartype.beartype/p' pyproject.toml)

test-all: setup ## Run all tests, the slow ones too.
	$(BIN)/python -m pytest -n auto --dist loadgroup -m "not gpu" $(ALL_SHAPES)

test-acceptance: setup wheel ## Move eight kinds of training to the built wheel (a quarter of an hour).
	$(PYTHON) -m venv --clear $(USER_ENV)
	$(USER_ENV)/bin/python -m pip install --quiet -c constraints.txt "$$(ls -t dist/symstudy-*.whl | head -1)"
	$(USER_ENV)/bin/python -m pip install --quiet -c constraints.txt torchvision timm \
		|| echo "torchvision or timm cannot be installed: copies of the two networks stand for them"
	SYMSTUDY_PYTHON=$(USER_ENV)/bin/python $(BIN)/python -m pytest -n 0 -m slow -s tests/acceptance

test-gpu: setup ## Run the tests that need a CUDA device.
	$(BIN)/python -m pip install --quiet -e '.[gpu]'
	$(BIN)/python -m pytest -n 0 -m gpu tests/training

test-faults: setup ## Inject 200 faults into a study, and 40 into one on Ray (long).
	$(BIN)/python tests/faults/campaign.py --faults 200
	$(BIN)/python tests/faults/ray_campaign.py --faults 40

test-mutations: setup ## Try mutations of the product that its tests must notice (half an hour).
	$(BIN)/python tests/mutations/mutation_campaign.py $(if $(ONLY),'$(ONLY)')

test-rules: setup ## Measure how often rules and claims err at the edge of what they claim; goes on where it stopped (ten minutes).
	$(BIN)/python tests/rules/measure_levels.py
	$(BIN)/python tests/rules/conjecture_levels.py
	$(BIN)/python tests/rules/measure_jumps.py

check: $(STAMP) ## Lint, types, import graph.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## Format the code and mend what can be mended.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Print speed ratios against plain Ray Tune, a plain torch loop and JAX (minutes).
	$(BIN)/python -m pip install --quiet -c constraints.txt --group bench
	$(BIN)/python tests/benchmarks/run.py $(ONLY)

bench-docs: setup ## Measure what is older than the code, and write it into the documents (an idle machine, half an hour).
	$(BIN)/python -m pip install --quiet -c constraints.txt --group bench
	$(BIN)/python tests/benchmarks/run.py --docs $(ONLY)

bench-gpu: setup ## Print how fast a GPU trains packs, beside the estimates (minutes; needs one).
	$(BIN)/python -m pip install --quiet -e '.[gpu]'
	$(BIN)/python tests/benchmarks/gpu.py

golden: setup ## Refresh the golden files of the tests.
	SYMSTUDY_REFRESH_GOLDEN=1 $(BIN)/python -m pytest -q -m "not gpu and not slow" tests
	SYMSTUDY_REFRESH_GOLDEN=1 $(BIN)/python -m pytest -q -m "not gpu" tests/repository/test_notebooks.py

docs: $(STAMP) ## Build the documents as a site, with every link checked, in build/site.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "build/site/index.html"

wheel: setup ## Build the wheel and sdist and check what is in them.
	$(BIN)/python -m pip install --quiet -c constraints.txt build
	$(BIN)/python -m build --outdir dist .

clean: ## Remove environment, caches and built files; results stay.
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
