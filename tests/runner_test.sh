#!/bin/sh
# SPDX-License-Identifier: MIT
# The control of the runner: run.sh must fail on what Criterion lets pass.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/build/tests" "$work/tests/support"
cp -r tests/run.sh tests/run_one.sh tests/support "$work/tests/"
echo 1 >"$work/tests/floor"

# program LINE...: the one test program of a made-up build.
program() {
    { echo '#!/bin/sh'; printf '%s\n' "$@"; } >"$work/build/tests/made_up_test"
    chmod +x "$work/build/tests/made_up_test"
}

# expect WORD: the runner fails and says so.
expect() {
    if (cd "$work" && tests/run.sh build "${2:-}") >"$work/out" 2>&1; then
        echo "the runner passed, expected: $1"
        cat "$work/out"
        exit 1
    fi
    grep -q "$1" "$work/out" || { echo "the runner did not say: $1"; cat "$work/out"; exit 1; }
    tried=$((tried + 1))
}
tried=0

good='[====] Synthesis: Tested: 2 | Passing: 2 | Failing: 0 | Crashing: 0'
program "echo '$good'"
(cd "$work" && tests/run.sh build) >"$work/out" 2>&1 || { echo "a good run failed"; cat "$work/out"; exit 1; }
grep -qx '2 passed, 0 failed' "$work/out"

program "echo '[====] Synthesis: Tested: 0 | Passing: 0 | Failing: 0 | Crashing: 0'"
expect 'no test ran'
program "echo '[====] Synthesis: Tested: 2 | Passing: 1 | Failing: 1 | Crashing: 0'"
expect '1 of 2'
program "echo '$good'" 'exit 1'
expect 'exit 1'
program 'sleep 100'
TEST_LIMIT=1 expect 'once more'
grep -q 'no test ran' "$work/out" || { echo "a hung program passed"; exit 1; }
rm "$work/build/tests/made_up_test"
printf '#!/bin/sh\nsleep 100\n' >"$work/tests/made_up_test.sh"
chmod +x "$work/tests/made_up_test.sh"
TEST_LIMIT=1 expect 'exit 124'
rm "$work/tests/made_up_test.sh"
program 'kill -SEGV $$'
expect 'once more'
grep -q 'no test ran' "$work/out" || { echo "a program that died twice passed"; exit 1; }
program '[ -e again ] || { touch again; kill -SEGV $$; }' "echo '$good'"
(cd "$work" && tests/run.sh build) >"$work/out" 2>&1 || { echo "a runner that died once failed"; cat "$work/out"; exit 1; }
grep -q 'once more' "$work/out" || { echo "nothing was said of a runner that died"; exit 1; }
rm "$work/again"
program "echo '$good'" "touch \"\$DXH_SHM_DIR/left\""
expect 'left in the shared-memory directory'
program "echo '$good'"
echo 100 >"$work/tests/floor"
expect 'only 2 tests passed'
echo 1 >"$work/tests/floor"
expect 'matches no test' no-such-room

# A leak that the program itself does not notice.
cat >"$work/leak.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
	void *volatile lost = malloc(77);

	lost = NULL;
	puts("[====] Synthesis: Tested: 2 | Passing: 2 | Failing: 0 | Crashing: 0");
	fflush(stdout);
	return lost != NULL;
}
END
gcc -fsanitize=address "$work/leak.c" -o "$work/build/tests/made_up_test"
expect 'sanitizer report'

echo "$tried faults planted, all noticed"
[ "$tried" -ge 10 ]
