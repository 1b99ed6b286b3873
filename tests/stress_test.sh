#!/bin/sh
# SPDX-License-Identifier: MIT
# stress_test.sh BUILD: a short run of the stress programs and all their controls.
exec "$(dirname "$0")/stress.sh" "$1" 100000
