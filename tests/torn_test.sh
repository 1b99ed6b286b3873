#!/bin/sh
# SPDX-License-Identifier: MIT
# torn_test.sh BUILD: a short run of what `make soak` does for long.
exec "$(dirname "$0")/torn.sh" "$1" 1 100000
