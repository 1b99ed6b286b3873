#!/bin/sh
# SPDX-License-Identifier: MIT
# install_test.sh BUILD: what is installed can be used by strangers: a C program by
# pkg-config, against the library and the archive; C++; a CMake project, which refuses
# versions that do not fit; manual pages that groff reads without a warning; completion;
# and uninstalling leaves nothing.
set -eu

build=$1
case $build in
build) ;;
*) echo "only what the default build installs is tried"; exit 0 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/opt/dxh
unset MAKEFLAGS MFLAGS MAKELEVEL
make -s install PREFIX="$prefix" DESTDIR= >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
export LD_LIBRARY_PATH="$prefix/lib"

fail() {
    echo "$1"
    exit 1
}

cat >"$work/user.c" <<C
#include <dxh.h>
#include <stdio.h>

static const char endpoint[] = "ipc://@dxh-install-test-$$";

/* One request there and back. */
static dxh_status ask(dxh_service *service, dxh_peer *peer)
{
	dxh_completion done;
	dxh_request *request;

	if (dxh_post(peer, "sum", "ab", 2, dxh_in_ms(20000), &done) != DXH_OK ||
	    dxh_service_receive(service, dxh_in_ms(20000), &request) != DXH_OK ||
	    dxh_request_reply(request, "c", 1) != DXH_OK ||
	    dxh_await(done, DXH_FOREVER, NULL) != DXH_OK)
		return DXH_ESTATE;
	return dxh_release(done);
}

int main(void)
{
	dxh_service *service;
	dxh_peer *peer;
	dxh_hub *hub;

	if (dxh_hub_open(NULL, &hub) != DXH_OK ||
	    dxh_service_bind(hub, endpoint, NULL, &service) != DXH_OK ||
	    dxh_peer_connect(hub, endpoint, NULL, &peer) != DXH_OK ||
	    ask(service, peer) != DXH_OK)
		return puts(dxh_last_error()), 1;
	return dxh_hub_close(&hub) != DXH_OK;
}
C

# shellcheck disable=SC2046
gcc -std=c11 -Wall -Werror "$work/user.c" $(pkg-config --cflags --libs dxh) -o "$work/shared"
"$work/shared" || fail "the program linked with the library failed"
readelf -d "$work/shared" | grep -q 'NEEDED.*libdxh\.so\.1' || fail "it does not need libdxh.so.1"
readelf -V "$work/shared" | grep -q DXH_1 || fail "its symbols have no version"

# shellcheck disable=SC2046
gcc -std=c11 "$work/user.c" $(pkg-config --cflags dxh) "$prefix/lib/libdxh.a" \
    $(pkg-config --libs --static dxh | sed 's/-ldxh//') -o "$work/static"
LD_LIBRARY_PATH='' "$work/static" || fail "the program linked with the archive failed"

cp "$work/user.c" "$work/user.cpp"
# shellcheck disable=SC2046
g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror "$work/user.cpp" \
    $(pkg-config --cflags --libs dxh) -o "$work/cpp"
"$work/cpp" || fail "the C++ program failed"

cmake_project() { # VERSION
    mkdir -p "$work/cmake"
    cp "$work/user.c" "$work/cmake/"
    cat >"$work/cmake/CMakeLists.txt" <<C
cmake_minimum_required(VERSION 3.16)
project(user C)
find_package(dxh $1 REQUIRED)
add_executable(user user.c)
target_link_libraries(user PRIVATE dxh::dxh)
add_executable(user_static user.c)
target_link_libraries(user_static PRIVATE dxh::static)
C
    rm -rf "$work/cmake/build"
    cmake -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1
}
version=$(pkg-config --modversion dxh)
cmake_project "$version" || { cat "$work/log"; fail "CMake does not find it"; }
cmake --build "$work/cmake/build" >"$work/log" 2>&1 || { cat "$work/log"; fail "CMake does not build"; }
LD_LIBRARY_PATH='' "$work/cmake/build/user" || fail "the CMake program failed"
LD_LIBRARY_PATH='' "$work/cmake/build/user_static" || fail "the CMake program with the archive failed"
cmake_project 99.0 && fail "CMake accepts version 99"
cmake_project 0.1 && fail "CMake accepts version 0.1, which promised nothing"
cmake_project "${version%%.*}.0" || { cat "$work/log"; fail "CMake refuses the first version of this major"; }

[ "$("$prefix/bin/dxh" --version)" = "dxh $version" ] || fail "dxh --version and pkg-config differ"

pages=0
for page in "$prefix"/share/man/man*/*; do
    (cd "$prefix/share/man" && groff -man -ww -z -mtty-char -Tutf8 -rHY=0 "$page") >"$work/log" 2>&1
    if [ -s "$work/log" ]; then
        cat "$work/log"
        fail "groff warns of $page"
    fi
    pages=$((pages + 1))
done
[ $pages -ge 150 ] || fail "only $pages manual pages"
nm -D --defined-only "$prefix/lib/libdxh.so" | sed -n 's/.* T \(.*\)@@.*/\1/p' >"$work/names"
while read -r name; do
    [ -e "$prefix/share/man/man3/${name%_sized}.3" ] || fail "$name has no manual page"
done <"$work/names"
for command in $("$prefix/bin/dxh" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    [ -e "$prefix/share/man/man1/dxh-$command.1" ] || fail "dxh $command has no manual page"
done

# What bash offers behind "dxh b" and "dxh ls --t".
offers() {
    PATH="$prefix/bin:$PATH" bash -c '
        . "$0"
        COMP_WORDS=(dxh "$@"); COMP_CWORD=$(($#)); _dxh; echo "${COMPREPLY[*]}"' \
        "$prefix/share/bash-completion/completions/dxh" "$@"
}
offers b | grep -qw broker || fail "completion does not know dxh broker"
[ "$(offers ls --t)" = --timeout ] || fail "completion does not know dxh ls --timeout"
mkdir "$work/blocks"
: >"$work/blocks/camera+front.dxh"
[ "$(DXH_SHM_DIR="$work/blocks" offers stat cam)" = camera/front ] ||
    fail "completion does not know blocks by their names"

make -s uninstall PREFIX="$prefix" DESTDIR= >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
left=$(find "$prefix" ! -type d)
[ -z "$left" ] || fail "uninstall left: $left"
make -s install PREFIX=/usr DESTDIR="$work/staged" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
grep -q '^prefix=/usr$' "$work/staged/usr/lib/pkgconfig/dxh.pc" || fail "DESTDIR shows in dxh.pc"

# run WHAT... : a target of make that has to do what it is told.
run() {
    make -s "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "make $*"; }
}

# A staging folder may be called anything, and somebody else's files in it stay. What is installed
# twice, or removed twice, is no error.
odd="$work/odd one's"
for _ in once twice; do
    run install install-python PREFIX=/usr DESTDIR="$odd"
done
mkdir -p "$odd/usr/include/dxh" "$odd/usr/lib/python3/dist-packages/dxh/__pycache__"
: >"$odd/usr/include/dxh/mine.h"
: >"$odd/usr/lib/python3/dist-packages/dxh/__pycache__/hub.cpython-311.pyc"
[ -e "$odd/usr/lib/python3/dist-packages/dxh/hub.py" ] || fail "the binding was not installed"
for _ in once twice; do
    run uninstall uninstall-python PREFIX=/usr DESTDIR="$odd"
done
left=$(cd "$odd" && find . ! -type d)
[ "$left" = ./usr/include/dxh/mine.h ] || fail "uninstall left, or took: $left"
[ ! -e "$odd/usr/lib/python3/dist-packages/dxh" ] || fail "uninstall-python left its folder"

# refuses WHY PLACE...: nothing is written or removed.
refuses() {
    why=$1
    shift
    for target in install uninstall install-python uninstall-python; do
        make -s $target "$@" >"$work/log" 2>&1 && fail "$target took $*"
        grep -q "$why" "$work/log" || { cat "$work/log"; fail "$target does not say: $why"; }
    done
}
mkdir "$work/my"
: >"$work/my/own"
refuses "cannot have spaces" PREFIX="$work/my programs" DESTDIR=
refuses "cannot have spaces" PREFIX=/usr LIBDIR="$work/my programs" DESTDIR=
refuses "begins with /" PREFIX=relative DESTDIR=
refuses "only letters" PREFIX="$work/a&b" DESTDIR=
refuses "a shell reads" PREFIX=/usr DESTDIR="$work/\`id\`"
[ "$(ls "$work/my")" = own ] || fail "what is called alike was touched"
echo "installed, used in four ways, $pages manual pages, removed"
