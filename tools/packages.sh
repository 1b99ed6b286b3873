#!/bin/sh
# SPDX-License-Identifier: MIT
# packages.sh STAMP PACKAGE...: install the Debian packages that are missing.
# STAMP remembers the list once all are there, so that the next call costs nothing.
set -eu

stamp=$1
shift
[ -e "$stamp" ] && [ "$(cat "$stamp")" = "$*" ] && exit 0

is_missing() {
    case $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null || true) in
    *' installed') return 1 ;;
    *) return 0 ;;
    esac
}

missing=
for package in "$@"; do
    if ! command -v dpkg-query >/dev/null 2>&1 || is_missing "$package"; then
        missing="$missing $package"
    fi
done

if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "These Debian packages (or what matches them here) are needed, and there is" >&2
        echo "no apt-get to install them:$missing" >&2
        echo "Install them by hand, then: mkdir -p build && echo $* >$stamp" >&2
        exit 1
    fi
    sudo=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "Not root, and there is no sudo. As root, run:" >&2
            echo "    apt-get install -y --no-install-recommends$missing" >&2
            exit 1
        fi
        sudo=sudo
    fi
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # Two clones may do this at once: wait for the lock of the other. The lock
    # of the package lists has no time-out of its own, hence the tries.
    # shellcheck disable=SC2086
    install="$sudo apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing"
    if ! $install >/dev/null 2>&1; then
        tries=0
        until $sudo apt-get -qq update; do
            tries=$((tries + 1))
            if [ $tries -ge 30 ]; then
                echo "apt-get update failed: see its message above" >&2
                exit 1
            fi
            sleep 2
        done
        if ! $install; then
            echo "apt-get could not install:$missing (see its message above)" >&2
            exit 1
        fi
    fi
fi
mkdir -p "$(dirname "$stamp")"
echo "$*" >"$stamp"
