# The front door. Each target first installs what it needs and is missing (tools/setup), which is quick the second time.
MINUTES ?= 10
JOBS ?= $(shell nproc)
CACHE := $(or $(MOVEOUT_CACHE),$(HOME)/.cache/moveout)
export MOVEOUT_CACHE := $(CACHE)
# One compiler cache for every checkout: paths inside the tree do not count.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

.PHONY: moveout setup demo demo-dynamodb demo-export test test-long bench format clean

## make: build/moveout, optimised, with every part switched on
moveout:
	@tools/setup build
	@cmake --preset release --log-level=WARNING >/dev/null
	@ninja -C build -j $(JOBS) moveout

## make setup: everything that building, testing and the demo need
setup:
	@tools/setup

## make demo: a live table moved, killed, resumed and proven, on this machine
demo: moveout
	@tools/setup
	@test/demo/run

## make demo-dynamodb: the same into a table of another server of the DynamoDB API, with nothing added to its items
demo-dynamodb: moveout
	@tools/setup
	@test/demo/run --to dynamodb-local

## make demo-export: a live table moved by an export to S3, without a read of it for the copy
demo-export: moveout
	@tools/setup
	@test/demo/run export

## make test: the tree's rules, every test, the simulator, sanitizers, real servers
test:
	@tools/setup
	@JOBS=$(JOBS) test/run

## make test-long MINUTES=n: simulator seeds and kill cycles for as long as given
test-long:
	@tools/setup
	@JOBS=$(JOBS) test/run-long $(MINUTES)

## make bench [BENCH=--long]: speed against other ways out, measured in one run
bench: moveout
	@tools/setup bench
	@bench/run $(BENCH)

## make format: the sources as clang-format-19 writes them
format:
	@tools/setup build
	@find . -path ./build -prune -o \( -name '*.cc' -o -name '*.h' \) -print0 | xargs -0 clang-format-19 -i

clean:
	rm -rf build
