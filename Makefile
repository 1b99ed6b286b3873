# SPDX-License-Identifier: MIT
# make            libdxh.so, libdxh.a and the command build/dxh
# make demo       install what is missing, build, run the main job   (ARGS="--chaos")
# make check      install what is missing, build, run the tests      (FILTER=room)
# make lint       format, arrows between rooms, headers stand alone
# make symbols    exported symbols == symbols declared in include/
# make stress     races and books of the runtime, OPERATIONS=10000000 of each kind
# make tsan       the same under ThreadSanitizer, OPERATIONS=100000 unless told otherwise
# make arm64      compiled for 64-bit Arm, its stress programs run in an emulator
# make net        peers killed, frozen, unplugged and garbled, FAULT_MS=1000 each
# make soak       what takes long: OPERATIONS=100000000 accounted for, storms and idle
#                 hubs for SECONDS=60 each (STEPS="accounting storms torn kills strangers crowds orders idle")
# make model      every order of events of the protocols, small (Spin)
# make kill       a block's users killed at every instruction, BUILDS="gcc-O2"
# make fuzz       what is received, against libFuzzer, SECONDS=60 each (clang)
# make bench      the benchmarks beside what they are compared with (ARGS="requests")
# make install    to PREFIX=/usr/local, under DESTDIR=; make uninstall removes it;
#                 make install-python for the binding, uninstall-python
# make deb        Debian packages, tried in an overlay of this system
# make examples   the programs of docs/examples
# make python     the binding, as build/python: PYTHONPATH=build/python python3
# make clean
#
# CC=clang picks the compiler, SAN=address a build with AddressSanitizer and
# UBSan; both build beside the default, in build/$(CC)-$(SAN). WERROR=1 makes
# warnings fatal; V=1 shows the commands.

# ---- what must be installed (Debian packages) ---------------------------------
PACKAGES := gcc libc6-dev pkg-config libzmq3-dev libmsgpack-dev libck-dev libsodium-dev \
	libxxhash-dev libisal-dev liblz4-dev libncurses-dev systemtap-sdt-dev
PACKAGES_CHECK := libcriterion-dev python3 python3-zmq python3-msgpack python3-xxhash python3-lz4 \
	python3-h5py binutils strace tmux \
	cmake g++ groff-base
PACKAGES_LINT := clang-format g++ shellcheck
PACKAGES_PYTHON := python3-dev python3-numpy python3-msgpack python3-zmq mypy
# What `make bench` compares with, and draws with.
PACKAGES_BENCH := g++ libnng-dev libnanomsg-dev libczmq-dev libnats-dev nats-server libboost-dev \
	libiceoryx-binding-c-dev iceoryx gnuplot-nox fonts-dejavu-core
PACKAGES_CLANG := clang libclang-rt-14-dev

# ---- what is built -------------------------------------------------------------
ROOMS := base queue shm runtime runtime/broker
SOURCES := $(sort $(foreach room,$(ROOMS),$(wildcard $(room)/*.c)))
TOOLS := $(sort $(wildcard tools/*.c))
TESTS := $(sort $(wildcard tests/*_test.c))
SUPPORT := $(sort $(wildcard tests/support/*.c))
BENCH := $(sort $(wildcard bench/*.c bench/peers/*.c))
# Rivals that are built when what they need is installed: NAME and its header.
peer = $(if $(and $(wildcard $(2)),$(if $(SAN),,plain)),$(B)/peers/$(1).so)
EXAMPLES := $(sort $(wildcard docs/examples/*.c))
HEADERS := $(sort $(wildcard include/*.h include/dxh/*.h))

ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
PACKAGES_CC := $(if $(findstring clang,$(CC)),$(PACKAGES_CLANG))
B := build$(if $(filter-out gcc-,$(CC)-$(SAN)),/$(CC)$(if $(SAN),-$(SAN)))

LIBRARIES := libzmq msgpack ck libsodium libxxhash libisal
CPPFLAGS += -D_GNU_SOURCE -I. -Iinclude
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(if $(WERROR),-Werror)
# With a sanitizer soon made rather than fast; lines in its reports are enough.
CFLAGS ?= $(if $(filter address fuzzer,$(SAN)),-O1 -g1,-O2 -g)
OWN_CFLAGS := -std=c11 $(WARNINGS) -fPIC -fvisibility=hidden -pthread
LDFLAGS += -pthread
ifeq ($(SAN),)
OWN_CFLAGS += -D_FORTIFY_SOURCE=2 -fstack-protector-strong
LDFLAGS += -Wl,-z,relro,-z,now
NO_UNDEFINED := -Wl,--no-undefined
else ifeq ($(SAN),address)
# One runtime in all processes of a test, as with gcc: Python preloads it and starts programs.
ifneq ($(findstring clang,$(CC)),)
SHARED_ASAN = -shared-libasan -Wl,-rpath,$(dir $(shell $(CC) -print-file-name=libclang_rt.asan-x86_64.so))
endif
OWN_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined $(SHARED_ASAN)
else ifeq ($(SAN),fuzzer)
OWN_CFLAGS += -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(SAN),thread)
# What the compiler copies in its own way the sanitizer does not see.
OWN_CFLAGS += -fsanitize=thread -include tests/support/tsan_ck.h -Wno-pedantic \
	-fno-builtin-memcpy -fno-builtin-memmove -fno-builtin-memset
LDFLAGS += -fsanitize=thread
else
$(error SAN=$(SAN) is not known: use SAN=address, thread or fuzzer)
endif
LIBS = $(shell pkg-config --libs $(LIBRARIES))
TOOL_LIBS = $(shell pkg-config --libs liblz4 ncursesw)
LIBS_CFLAGS = $(shell pkg-config --cflags $(LIBRARIES))
comma := ,
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $(2))
COMPILE = $(CC) $(CPPFLAGS) $(LIBS_CFLAGS) $(CFLAGS) $(OWN_CFLAGS) -MMD -MP -c $< -o $@

PEERS := $(call peer,nng,/usr/include/nng/nng.h) $(call peer,nanomsg,/usr/include/nanomsg/nn.h) \
	$(call peer,czmq,/usr/include/czmq.h) $(call peer,nats,/usr/include/nats/nats.h) \
	$(call peer,iceoryx,/usr/include/iceoryx/v*/iceoryx_binding_c/api.h) \
	$(call peer,boost,/usr/include/boost/interprocess/ipc/message_queue.hpp)
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))
STRESS_PROGRAMS := $(patsubst tests/%.c,$(B)/tests/%,$(sort $(wildcard tests/*_stress.c)))
# Programs that tests run, beside those that are tests.
TEST_HELPERS := $(addprefix $(B)/,bench scene content listener publisher slaughter)
TEST_PROGRAMS := $(patsubst tests/%.c,$(B)/tests/%,$(TESTS))
EXAMPLE_PROGRAMS := $(patsubst docs/examples/%.c,$(B)/examples/%,$(EXAMPLES))
SONAME := libdxh.so.1
MAP := tools/install/libdxh.map
version = $(shell sed -n 's/^\#define DXH_VERSION_$(1) //p' include/dxh/base.h)
VERSION_MAJOR := $(call version,MAJOR)
VERSION := $(VERSION_MAJOR).$(call version,MINOR).$(call version,PATCH)

.PHONY: all demo check stress stress-programs tsan arm64 net soak model kill fuzz bench lint symbols examples packages \
	clean install uninstall places man deb python python-module install-python uninstall-python
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/libdxh.so $(B)/libdxh.a $(B)/dxh

# ---- the two commands ------------------------------------------------------------
# Packages first: what is compiled below needs them when it is parsed.
JOBS := -j$(shell nproc) --no-print-directory

demo:
	@tools/packages.sh build/packages-demo $(PACKAGES)
	@+$(MAKE) $(JOBS) all
	@$(B)/dxh demo $(ARGS)

check:
	@tools/packages.sh build/packages-check-$(CC) $(PACKAGES) $(PACKAGES_CHECK) $(PACKAGES_CC) $(PACKAGES_PYTHON)
	@+$(MAKE) $(JOBS) all $(TEST_PROGRAMS) $(STRESS_PROGRAMS) $(TEST_HELPERS) examples python-module
	@tests/run.sh $(B) '$(FILTER)'

OPERATIONS ?= 10000000
stress:
	@tools/packages.sh build/packages-demo $(PACKAGES)
	@+$(MAKE) $(JOBS) stress-programs
	@tests/stress.sh $(B) $(OPERATIONS)

stress-programs: $(STRESS_PROGRAMS)

tsan:
	@tools/packages.sh build/packages-demo $(PACKAGES)
	@+$(MAKE) $(JOBS) SAN=thread stress-programs
	@tests/tsan.sh make $(if $(filter file,$(origin OPERATIONS)),100000,$(OPERATIONS))

arm64:
	@tools/packages.sh build/packages-arm64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross pkg-config \
		qemu-user-static
	@tests/arm64.sh '$(MAKE)' $(if $(filter file,$(origin OPERATIONS)),100000,$(OPERATIONS))

STEPS ?=
soak:
	@tools/packages.sh build/packages-net $(PACKAGES) iproute2 util-linux
	@+$(MAKE) $(JOBS) stress-programs $(B)/net $(B)/idle $(B)/slaughter $(B)/listener \
		$(B)/tests/broker_crowd_test $(B)/tests/broker_orders_test $(B)/dxh
	@tests/soak.sh $(B) $(SECONDS) $(if $(filter file,$(origin OPERATIONS)),100000000,$(OPERATIONS)) '$(STEPS)'

FAULT_MS ?= 1000
net:
	@tools/packages.sh build/packages-net $(PACKAGES) iproute2 util-linux
	@+$(MAKE) $(JOBS) $(B)/net
	@tests/net.sh $(B)/net $(FAULT_MS) '$(FILTER)'

model:
	@tools/packages.sh build/packages-model gcc libc6-dev spin
	@tests/model.sh

BUILDS ?= gcc-O0 gcc-O2 clang-O0 clang-O2
kill:
	@tools/packages.sh build/packages-kill $(PACKAGES) $(if $(findstring clang,$(BUILDS)),$(PACKAGES_CLANG))
	@tests/kill.sh $(MAKE) $(BUILDS)

SECONDS ?= 60
fuzz:
	@tools/packages.sh build/packages-fuzz $(PACKAGES) $(PACKAGES_CLANG)
	@+$(MAKE) $(JOBS) CC=clang SAN=fuzzer build/clang-fuzzer/libdxh.a
	@tests/fuzz.sh build/clang-fuzzer $(SECONDS) '$(FILTER)'

bench:
	@tools/packages.sh build/packages-bench $(PACKAGES) $(PACKAGES_BENCH)
	@+$(MAKE) $(JOBS) all $(B)/bench
	@$(B)/dxh bench $(ARGS)

# ---- compiling and linking ----------------------------------------------------------
$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE)

# Called only on processors that have it.
ifneq ($(filter x86_64-%,$(shell $(CC) -dumpmachine)),)
$(B)/obj/shm/xxh3_avx2.o: OWN_CFLAGS += -mavx2
endif

$(B)/libdxh.a: $(call objects,$(SOURCES))
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $^

$(B)/$(SONAME): $(call objects,$(SOURCES)) $(MAP)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=$(MAP) $(NO_UNDEFINED) $(LDFLAGS) \
		$(filter %.o,$^) $(LIBS) -o $@

$(B)/libdxh.so: $(B)/$(SONAME)
	@ln -sf $(SONAME) $@

$(B)/dxh: $(call objects,$(TOOLS)) $(B)/libdxh.a
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDFLAGS) $^ $(LIBS) $(TOOL_LIBS) -o $@

# See bench/allocations.h.
COUNTED := malloc calloc realloc aligned_alloc
# Workloads see what a user sees, and ZeroMQ for their rivals; bench/micro_*.c see rooms
# from inside. Rivals that are installed are modules, which use the frame of the program.
$(B)/bench: $(call objects,$(BENCH)) $(B)/libdxh.a | $(PEERS)
	$(call say,LD,$@)
	$(Q)$(CC) -pie -rdynamic $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(COUNTED)) $^ $(LIBS) -o $@

PEER_LIBS_nng := -lnng
PEER_LIBS_nanomsg := -lnanomsg
PEER_LIBS_czmq := -lczmq -lzmq
PEER_LIBS_nats := -lnats
PEER_LIBS_iceoryx := -liceoryx_binding_c
PEER_LIBS_boost := -lstdc++ -lrt
$(B)/peers/%.so: $(B)/obj/bench/peers/optional/%.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -shared $(LDFLAGS) $^ $(PEER_LIBS_$*) -o $@

$(B)/peers/boost.so: $(B)/obj/bench/peers/optional/boost_queue.o
# Its headers lie in a folder named by their version.
ICEORYX := $(lastword $(wildcard /usr/include/iceoryx/v*))
$(B)/obj/bench/peers/optional/iceoryx.o: CPPFLAGS += -isystem $(ICEORYX) \
	-DICEORYX_VERSION='"$(patsubst v%,%,$(notdir $(ICEORYX)))"'
$(B)/obj/bench/peers/optional/%.o: bench/peers/optional/%.cc Makefile
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)g++ -std=c++17 $(CPPFLAGS) $(CFLAGS) -Wall -Wextra $(if $(WERROR),-Werror) -fPIC \
		-fvisibility=hidden -pthread -MMD -MP -c $< -o $@

# Processes that only public headers tell of each other.
$(B)/net: $(call objects,$(sort $(wildcard tests/net/*.c))) $(B)/libdxh.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS) -o $@

# Blocks as the tests of the tools find them.
$(B)/scene $(B)/content $(B)/publisher: $(B)/%: $(B)/obj/tests/tools/%.o $(B)/libdxh.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS) -o $@

$(B)/idle $(B)/slaughter: $(B)/%: $(B)/obj/tests/soak/%.o $(B)/libdxh.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS) -o $@

# A live service among strangers: plain, and see tests/fuzz.sh.
$(B)/listener: $(B)/obj/tests/fuzz/listener.o $(B)/libdxh.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS) -o $@

# Tests see the rooms from inside, so they take the archive.
$(B)/tests/%_test: $(B)/obj/tests/%_test.o $(call objects,$(SUPPORT)) $(B)/libdxh.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS) -lcriterion -o $@

$(B)/tests/bench_histogram_test: $(call objects,bench/histogram.c)

# One call of the system after the other fails: wrappers stand between our objects and
# the system, see tests/fault/fault.h.
FAULT_SOURCES := $(sort $(wildcard tests/fault/*.c))
FAULT_KINDS := $(shell sed -n '/^\#define FAULT_KINDS/,/[^\\]$$/p' tests/fault/fault.h | \
	grep -o 'X([a-z_0-9]*)' | sed 's/X(\(.*\))/\1/' | grep -vx X) free close
$(filter $(B)/tests/fault_%,$(TEST_PROGRAMS)): $(B)/tests/%: $(B)/obj/tests/%.o \
		$(call objects,$(SUPPORT) $(FAULT_SOURCES)) $(B)/libdxh.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(FAULT_KINDS)) $^ $(LIBS) -lcriterion -o $@

# A page that nobody may touch lies behind each mapping of ours.
$(B)/tests/shm_corrupt_test: LDFLAGS += -Wl,--wrap=mmap -Wl,--wrap=munmap

# A thread waits within calls, until what it waits for has happened at the worst moment.
$(B)/tests/fairness_test: LDFLAGS += -Wl,--wrap=dxi_inbox_take
$(B)/tests/edge_test: LDFLAGS += -Wl,--wrap=zmq_msg_send -Wl,--wrap=zmq_getsockopt

# Plain programs, see tests/support/stress.h. TWIN: an object that takes the place
# of the one in the archive.
$(B)/tests/%_stress: $(B)/obj/tests/%_stress.o $(B)/libdxh.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(TWIN) $^ $(LIBS) -o $@

# The block alone, so that a build for each compiler is soon made.
KILL := $(sort $(wildcard tests/kill/*.c))
$(B)/libblock.a: $(call objects,$(filter base/% shm/%,$(SOURCES)))
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $^

$(B)/kill: $(call objects,$(KILL)) $(B)/libblock.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(TWIN) $^ $(LIBS) -o $@

# Examples see what a user sees.
examples: $(EXAMPLE_PROGRAMS)
$(B)/examples/%: $(B)/obj/docs/examples/%.o $(B)/libdxh.so
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/..' $< -L$(B) -ldxh -o $@

# ---- installing ----------------------------------------------------------------------------
# make install [PREFIX=/usr/local] [LIBDIR=PREFIX/lib] [DESTDIR=]; uninstall removes the same.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
BINDIR := $(PREFIX)/bin
MANDIR := $(PREFIX)/share/man
CMAKEDIR := $(LIBDIR)/cmake/dxh
COMPLETIONDIR := $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system
SECTIONS := $(wildcard docs/man/*.7)
# From the folder of the CMake files.
INCLUDE_FROM_HERE = $(shell realpath -ms --relative-to=$(CMAKEDIR) $(PREFIX)/include)
FILL = sed $(foreach word,PREFIX LIBDIR BINDIR VERSION VERSION_MAJOR SONAME INCLUDE_FROM_HERE, \
	-e 's|@$(word)@|$($(word))|g') -e 's|@REQUIRES@|$(LIBRARIES)|g' -e 's|@LIBS@|$(LIBS)|g'

$(B)/man: tools/install/man.py $(B)/dxh $(HEADERS) $(SECTIONS)
	$(call say,MAN,$@)
	@rm -rf $@
	$(Q)tools/install/man.py $(VERSION) $(B)/dxh $(HEADERS) $@
	@install -Dm644 -t $@/man7 $(SECTIONS)

man: $(B)/man

# Before anything is written or removed. These words stand in files that other programs read, and
# in commands below; DESTDIR only in commands, between quotes.
places: export DESTDIR := $(DESTDIR)
places: export PLACES = PREFIX=$(PREFIX) LIBDIR=$(LIBDIR) UNITDIR=$(UNITDIR) PYTHONDIR=$(PYTHONDIR)
places:
	@tools/install/places.sh

install: places all man
	install -Dm644 -t "$(DESTDIR)$(PREFIX)/include" include/dxh.h
	install -Dm644 -t "$(DESTDIR)$(PREFIX)/include/dxh" $(filter include/dxh/%,$(HEADERS))
	install -Dm644 -t "$(DESTDIR)$(LIBDIR)" $(B)/$(SONAME) $(B)/libdxh.a
	ln -sf $(SONAME) "$(DESTDIR)$(LIBDIR)/libdxh.so"
	install -Dm755 -t "$(DESTDIR)$(BINDIR)" $(B)/dxh
	install -d "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(CMAKEDIR)" "$(DESTDIR)$(UNITDIR)"
	$(FILL) tools/install/dxh.pc.in >"$(DESTDIR)$(LIBDIR)/pkgconfig/dxh.pc"
	$(FILL) tools/install/dxh-config.cmake.in >"$(DESTDIR)$(CMAKEDIR)/dxh-config.cmake"
	$(FILL) tools/install/dxh-config-version.cmake.in >"$(DESTDIR)$(CMAKEDIR)/dxh-config-version.cmake"
	$(FILL) tools/install/dxh-broker.service >"$(DESTDIR)$(UNITDIR)/dxh-broker.service"
	install -Dm644 tools/install/dxh.bash "$(DESTDIR)$(COMPLETIONDIR)/dxh"
	for section in 1 3 7; do \
		install -Dm644 -t "$(DESTDIR)$(MANDIR)/man$$section" $(B)/man/man$$section/*.$$section; done

# remove FOLDER,FILES: what is there of them.
remove = if cd "$(DESTDIR)$(1)" 2>/dev/null; then rm -f $(2); fi
# Of this library alone.
remove_folder = if [ -d "$(DESTDIR)$(1)" ]; then rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(1)"; fi

uninstall: places man
	$(call remove,$(PREFIX)/.,$(HEADERS))
	$(call remove,$(LIBDIR)/.,$(SONAME) libdxh.so libdxh.a pkgconfig/dxh.pc)
	$(call remove,$(BINDIR),dxh)
	$(call remove,$(UNITDIR),dxh-broker.service)
	$(call remove,$(COMPLETIONDIR),dxh)
	$(call remove,$(CMAKEDIR),dxh-config.cmake dxh-config-version.cmake)
	$(call remove,$(MANDIR),$$(cd '$(abspath $(B)/man)' && find . -type f))
	$(call remove_folder,$(PREFIX)/include/dxh)
	$(call remove_folder,$(CMAKEDIR))

# Debian packages, in build/deb.
deb:
	@tools/packages.sh build/packages-deb $(PACKAGES) $(PACKAGES_PYTHON) make debhelper dh-python \
		dpkg-dev lintian fakeroot cmake g++
	@tests/deb.sh $(VERSION) build/deb

# ---- the Python binding ------------------------------------------------------------------
# The module of Debian's Python, over the public headers; beside it the Python files, so
# that one folder is the whole.
PYTHON := /usr/bin/python3
PYTHON_MODULE := $(B)/python/dxh/_native.so
PYTHON_FILES := $(patsubst python/%,$(B)/python/%,$(wildcard python/dxh/*.py* python/dxh/py.typed))
PYTHON_OBJECTS := $(call objects,$(sort $(wildcard python/native/*.c)))

python:
	@tools/packages.sh build/packages-python $(PACKAGES) $(PACKAGES_PYTHON)
	@+$(MAKE) $(JOBS) python-module

python-module: $(PYTHON_MODULE) $(PYTHON_FILES) $(B)/python/c_side

# The other language of its tests.
$(B)/python/c_side: $(B)/obj/python/tests/c_side.o $(B)/libdxh.so
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/..' $< -L$(B) -ldxh -o $@

PYTHON_CFLAGS = $(patsubst -I%,-isystem %,$(shell $(PYTHON)-config --includes)) \
	-isystem $(shell $(PYTHON) -c "import numpy; print(numpy.get_include())")
$(PYTHON_OBJECTS): LIBS_CFLAGS = $(PYTHON_CFLAGS)
$(PYTHON_MODULE): $(PYTHON_OBJECTS) $(B)/libdxh.so
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../..' $(PYTHON_OBJECTS) -L$(B) -ldxh -o $@

$(B)/python/%: python/%
	@mkdir -p $(@D)
	@cp $< $@

# Installed, the module finds the library where the system has it.
PYTHONDIR ?= $(PREFIX)/lib/python3/dist-packages
EXTENSION = $(shell $(PYTHON) -c "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))")
$(B)/_native.so: $(PYTHON_OBJECTS) $(B)/libdxh.so
	$(call say,LD,$@)
	$(Q)$(CC) -shared $(LDFLAGS) $(PYTHON_OBJECTS) -L$(B) -ldxh -o $@

install-python: places $(B)/_native.so
	install -Dm644 -t "$(DESTDIR)$(PYTHONDIR)/dxh" python/dxh/*.py* python/dxh/py.typed
	install -Dm644 $(B)/_native.so "$(DESTDIR)$(PYTHONDIR)/dxh/_native$(EXTENSION)"

uninstall-python: places
	$(call remove,$(PYTHONDIR)/dxh,$(notdir $(wildcard python/dxh/*.py* python/dxh/py.typed)) \
		_native$(EXTENSION) __pycache__/*.pyc)
	$(call remove_folder,$(PYTHONDIR)/dxh/__pycache__)
	$(call remove_folder,$(PYTHONDIR)/dxh)

# ---- checks of the tree ---------------------------------------------------------------
lint:
	@tools/packages.sh build/packages-lint $(PACKAGES) $(PACKAGES_LINT)
	@tests/lint.sh

symbols: $(B)/libdxh.so
	@tests/symbols.sh $(B)/libdxh.so

packages:
	@echo $(PACKAGES) $(PACKAGES_CHECK) $(PACKAGES_PYTHON) $(PACKAGES_LINT) $(PACKAGES_CLANG)

clean:
	rm -rf build

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
