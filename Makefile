# Two commands: `make demo` shows what SparSR does, `make test` proves it. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
CORES := $(shell getconf _NPROCESSORS_ONLN)

.PHONY: demo test mutate lint docs gate wheel release windows model sanitize bench apk android-native android-aar clean

# A CPU build of torch where there is one; TORCH=cuda takes what pip finds by itself, several gigabytes on Linux.
TORCH ?= cpu
TORCH_VERSION := $(shell sed -n 's/^train = \["torch==\([0-9.]*\)".*/\1/p' pyproject.toml)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PIP = $(RUN) -m pip install --quiet --disable-pip-version-check
# What extras of the package need, without the package: a checkout runs from its folders.
EXTRAS = $(RUN) .ci/extras.py $(1) > $(VENV)/requirements.txt && $(PIP) -r $(VENV)/requirements.txt

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "SparSR needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	@echo "installing torch $(TORCH_VERSION) ($(TORCH)) and what else SparSR needs (a few minutes, once) ..."
	@[ $(TORCH) != cpu ] || $(PIP) torch==$(TORCH_VERSION)+cpu 2> /dev/null || \
	  $(PIP) --retries 1 --index-url $(TORCH_INDEX) torch==$(TORCH_VERSION)+cpu 2> /dev/null || \
	  echo "no CPU build of torch $(TORCH_VERSION) for this platform and Python: taking the one pip finds"
	$(call EXTRAS,train export litert tflite bench)
	@touch $@

# The folders at the top are the package sparsr: in a checkout links say so, installed the build does (pyproject.toml).
$(VENV)/.linked: $(VENV)/.installed
	mkdir -p $(VENV)/checkout/sparsr
	for folder in train export runtime bench; do ln -sfn ../../../$$folder $(VENV)/checkout/sparsr/$$folder; done
	for file in __init__.py __main__.py py.typed; do ln -sfn ../../../runtime/sparsr/$$file $(VENV)/checkout/sparsr/$$file; done
	$(RUN) -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "sparsr-checkout.pth").write_text("$(CURDIR)/$(VENV)/checkout\n")'
	printf '#!/bin/sh\nexec "$(CURDIR)/$(RUN)" -m sparsr "$$@"\n' > $(VENV)/bin/sparsr && chmod +x $(VENV)/bin/sparsr
	@touch $@

$(VENV)/.installed-tests: $(VENV)/.linked
	$(call EXTRAS,dev)
	@touch $@

$(VENV)/.installed-rivals: $(VENV)/.linked
	$(call EXTRAS,rivals)
	@touch $@

PHOTO := bench/demo/photo.png
ZOO := train/zoo
MODEL := $(ZOO)/assln_x4.safetensors
DENSE := cpu/ledsr96_x4
SPARSE := rfdn64_x4_sls_16
ADAPTIVE := $(ZOO)/rfdn64_x4.safetensors $(foreach n,_sls_4 _sls_8 _sls_16,$(ZOO)/rfdn64_x4$(n).safetensors)

# The dense LEDSR's weights are too large for the repository. Time and memory do not depend on them: random ones do.
demo: $(VENV)/.linked
	@echo "1/6  export a network pruned by channels and prove that the files compute the same"
	$(RUN) -m export $(MODEL) --out demo/assln_x4 --verify $(PHOTO)
	@echo "2/6  upscale a photograph"
	$(RUN) -m runtime upscale --overwrite $(PHOTO) demo/upscaled.png --model demo/assln_x4
	@echo "3/6  a network pruned to N:M, and one that computes in full only where its masks say"
	$(RUN) -m export $(ZOO)/$(SPARSE).safetensors --out demo/$(SPARSE)
	$(RUN) -m runtime upscale --overwrite $(PHOTO) demo/upscaled_nm.png --model demo/$(SPARSE)
	$(RUN) -m export $(ZOO)/smsr_x2.safetensors --out demo/smsr_x2
	$(RUN) -m runtime upscale --overwrite $(PHOTO) demo/upscaled_masks.png --model demo/smsr_x2 --masks
	$(RUN) -m train eval $(ZOO)/smsr_x2.safetensors --data $(dir $(PHOTO)) --masks demo/masks
	@echo "4/6  adaptive: a network for every patch"
	$(RUN) -m export adaptive $(ADAPTIVE) --estimator $(ZOO)/estimators/rfdn64_x4.safetensors --out demo/adaptive_x4
	$(RUN) -m runtime upscale --overwrite $(PHOTO) demo/upscaled_adaptive.png --model demo/adaptive_x4 --patch-map demo/patches.png
	@echo "5/6  measure beside the dense originals"
	$(RUN) -m train init $(DENSE) --out demo/ledsr96_x4.safetensors
	$(RUN) -m export demo/ledsr96_x4.safetensors --out demo/ledsr96_x4
	$(RUN) -m export $(ZOO)/rfdn64_x4.safetensors --out demo/rfdn64_x4
	$(RUN) -m bench run demo/assln_x4 demo/$(SPARSE) demo/ledsr96_x4 demo/rfdn64_x4 --rounds 7 --max-seconds 60 --json demo/bench.json
	@echo "6/6  make the page"
	$(RUN) -m bench report demo/bench.json --bundle demo/assln_x4 --before $(PHOTO) --after demo/upscaled.png \
	  --exhibit "SMSR: white is computed in full, module by module=demo/masks/photo_masks.png" \
	  --exhibit "Adaptive: which network computed which patch=demo/patches.png" -o demo/index.html -o demo/report.md
	@echo "open demo/index.html"

# The models inside the package, from the zoo: only for the native engine, which every wheel carries.
model: $(VENV)/.linked
	rm -rf runtime/model/general_x2 runtime/model/general_x4
	$(RUN) -m export $(ZOO)/assln_x2.safetensors --out runtime/model/general_x2 --name general_x2 --format native
	$(RUN) -m export $(ZOO)/span_x4.safetensors --out runtime/model/general_x4 --name general_x4 --format native

# Wheels for Linux on x86-64 and arm64 and for Windows on x86-64, two of them cross-compiled, and tests of them.
wheel: $(VENV)/.installed-tests
	.ci/wheels $(RUN) dist

# The engine without Python, which measures bundles and upscales pictures: an archive for x86-64 and one for arm64.
release: $(VENV)/.linked
	$(RUN) .ci/release.py dist

# The engine for Windows on x86-64, cross-built by mingw-w64 (apt install g++-mingw-w64-x86-64-posix).
windows:
	cmake -S runtime/native -B build/windows -DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/runtime/native/windows.cmake -DSPARSR_TOOLS=ON
	cmake --build build/windows --parallel $(CORES)

docs: $(VENV)/.installed-tests
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

lint: $(VENV)/.installed-tests
	$(RUN) -m ruff check .
	$(RUN) -m mypy

test: lint
	OMP_NUM_THREADS=1 $(RUN) -m pytest -m "not slow" -n auto

# Whether SparSR's own networks keep their budgets where they run: counts, and ratios of times; on arm64 in QEMU if it and
# a compiler are there. By estimated costs, so that kernels do not depend on how busy the machine is.
GATE := build/gate
GATED := rfdn64_x4_sls_16 rfdn64_x4 assln_x4
gate: $(VENV)/.linked
	for name in $(GATED); do $(RUN) -m export $(ZOO)/$$name.safetensors --out $(GATE)/$$name --format native > /dev/null || exit; done
	SPARSR_PLAN=estimate $(RUN) -m bench check .ci/budgets.toml
	if qemu-aarch64 --version 2> /dev/null | grep -q 'version [78]\.' && command -v aarch64-linux-gnu-g++ > /dev/null; then \
	  SPARSR_PLAN=estimate $(RUN) -m bench check .ci/budgets-arm64.toml; else echo "needs qemu-aarch64 7 or 8 and aarch64-linux-gnu-g++: not checked on arm64"; fi

# Plants small faults in the training methods and asks whether the tests notice; SINCE=COMMIT: only where files changed,
# MOST=N: no more than N of them.
mutate: $(VENV)/.installed-tests
	SPARSR_MUTATE_SINCE=$(SINCE) SPARSR_MUTATE_MOST=$(MOST) $(RUN) -m pytest -m mutation -n auto tests/train/test_mutations.py

# The native engine's tests, and those of its operators in ONNX Runtime and TFLite, under the sanitizers of addresses,
# undefined behaviour and threads. The hosts are not instrumented; that of threads does not see how ONNX Runtime's pool
# hands work over and would report races that are none, so a pool of the tests' own stands for it. Nor does it see how the
# thread of ONNX Runtime's reports to its makers ends: one in sixty processes that imported nothing else was ended for it,
# after all tests had passed, so there are no reports. Left out is what measures or bounds the process's memory, of which
# sanitizers take much. 10,000 damaged models, 2,500 of each kind. At last 10,000 damaged pictures, films, bundles,
# checkpoints and ONNX files, each in a limited process of its own.
SANITIZED = SPARSR_LIBRARY=build/sanitize-$(1)/libsparsr.so OMP_NUM_THREADS=1 $(RUN) -m pytest \
	-k "not too_little_memory and not megabytes and not number_of_sizes and not compiler and not arm64"
NATIVE_TESTS = tests/runtime/native
RUNTIME_OF = $$(gcc -print-file-name=lib$(1).so)
sanitize: $(VENV)/.installed-tests
	cmake -S runtime/native -B build/sanitize-address -DSPARSR_SANITIZE=address,undefined -DSPARSR_DIGEST=sanitize \
		-DSPARSR_TOOLS=ON
	cmake --build build/sanitize-address --parallel $(CORES)
	LD_PRELOAD="$(call RUNTIME_OF,asan) $(call RUNTIME_OF,ubsan)" ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
		SPARSR_MUTATIONS=2500 $(call SANITIZED,address) $(NATIVE_TESTS)
	cmake -S runtime/native -B build/sanitize-thread -DSPARSR_SANITIZE=thread -DSPARSR_DIGEST=sanitize
	cmake --build build/sanitize-thread --parallel $(CORES)
	LD_PRELOAD="$(call RUNTIME_OF,tsan)" TSAN_OPTIONS=halt_on_error=1:exitcode=66 ORT_DISABLE_TELEMETRY=1 \
		$(call SANITIZED,thread) $(addprefix $(NATIVE_TESTS)/,test_native_threads.py test_native_memory.py test_stream_tflite.py)
	SPARSR_FUZZ=2000 OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto tests/runtime/test_fuzz_files.py

# What SparSR promises, against OpenVINO, ncnn, MNN, ONNX Runtime and LiteRT on the dense networks. Random weights: speed
# and memory do not depend on them.
BARS := build/bars
EVERY := --format onnx,tflite,native
bench: $(VENV)/.installed-rivals
	mkdir -p $(BARS)
	$(RUN) -m train init paper/ledsr_x4 --out $(BARS)/ledsr.safetensors
	$(RUN) -m train init paper/ledsr_x4 --set network.architecture=edsr --set network.channels=64 --out $(BARS)/edsr.safetensors
	$(RUN) -m export $(BARS)/ledsr.safetensors --out $(BARS)/ledsr_x4 $(EVERY)
	$(RUN) -m export $(BARS)/edsr.safetensors --out $(BARS)/edsr_x4 $(EVERY)
	$(RUN) -m export $(BARS)/edsr.safetensors --out $(BARS)/edsr_x4_8of32x4 $(EVERY) --sparsity 8:32x4
	$(RUN) -m export $(BARS)/edsr.safetensors --out $(BARS)/edsr_x4_4of32x4 $(EVERY) --sparsity 4:32x4
	$(RUN) -m export $(BARS)/edsr.safetensors --out $(BARS)/edsr_x4_2of32x4 $(EVERY) --sparsity 2:32x4
	$(RUN) -m export $(BARS)/edsr.safetensors --out $(BARS)/edsr_x4_2of32 $(EVERY) --sparsity 2:32
	$(RUN) -m export $(MODEL) --out $(BARS)/assln_x4 $(EVERY)
	$(RUN) -m export train/zoo/smsr_x2.safetensors --out $(BARS)/smsr_x2 $(EVERY)
	[ -z "$(SPARSR_DATA)" ] || $(RUN) -m export $(SPARSR_DATA)/checkpoints/SMSR_x2_model_1000.pt --out $(BARS)/smsr_official_x2 $(EVERY)
	$(RUN) -m train init cpu/smsr_dense_x2 --out $(BARS)/smsr_dense.safetensors
	$(RUN) -m export $(BARS)/smsr_dense.safetensors --out $(BARS)/smsr_dense_x2 $(EVERY)
	$(RUN) -m bench bars $(BARS) --json $(BARS)/results.json

# The app for Android, its library alone, and the library for other apps; docs/android.md says what they need.
ANDROID := build/android
APP_BUNDLES := rfdn64_x4_sls_16 rfdn64_x4
apk: $(VENV)/.installed
	for name in $(APP_BUNDLES); do \
	  $(RUN) -m export $(ZOO)/$$name.safetensors --out $(ANDROID)/bundles/$$name --format native || exit; done
	$(RUN) android_demo/packaging/assets.py $(ANDROID)/assets $(addprefix $(ANDROID)/bundles/,$(APP_BUNDLES))
	$(RUN) android_demo/packaging/apk.py $(ANDROID)/assets $(ANDROID)

android-native:
	$(PYTHON) android_demo/packaging/native.py $(ANDROID)

android-aar:
	$(PYTHON) android_demo/packaging/aar.py $(ANDROID)

clean:
	rm -rf demo runs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
