#!/bin/sh
# SPDX-License-Identifier: MIT
# arm64.sh MAKE OPERATIONS: compile for 64-bit Arm, without a warning, and run there, emulated,
# what shares memory between threads. What that needs of the other architecture is unpacked
# below build/arm64; nothing of it is installed here. Counts programs and controls.
#
# An emulator on x86-64 orders memory as that does: this shows that the code is portable, not
# that its fences suffice, for which there are models and the thread sanitizer.
set -eu

make=$1
operations=$2
here=$PWD/build/arm64
root=$here/root
libraries=$root/usr/lib/aarch64-linux-gnu

private_apt() {
    apt-get -q -y -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Debug::NoLocking=1 \
        -o Dir::State="$here/apt" -o Dir::State::status="$here/apt/status" -o Dir::Cache="$here/apt" "$@"
}

# The linker is told by files in the root where things are: relative to it.
unpack_packages() {
    mkdir -p "$here/apt/lists/partial" "$here/apt/archives/partial" "$root"
    : >"$here/apt/status"
    private_apt update
    private_apt install --download-only --no-install-recommends libc6-dev libzmq3-dev libmsgpack-dev \
        libck-dev libsodium-dev libxxhash-dev libisal-dev liblz4-dev libncurses-dev systemtap-sdt-dev
    for package in "$here"/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink
    done
    find "$root" -lname '/*' | while read -r link; do
        ln -sfn "$root$(readlink "$link")" "$link"
    done
    touch "$here/unpacked"
}

# The emulator of Debian 12 does not know this call.
write_missing_call() {
    cat >"$here/epoll_pwait2.c" <<'END'
#include <sys/epoll.h>
#include <time.h>

int epoll_pwait2(int epoll, struct epoll_event *events, int max, const struct timespec *left, const sigset_t *mask)
{
	return epoll_pwait(epoll, events, max,
	                   left ? (int)(left->tv_sec * 1000 + (left->tv_nsec + 999999) / 1000000) : -1, mask);
}
END
    aarch64-linux-gnu-gcc --sysroot="$root" -D_GNU_SOURCE -shared -fPIC "$here/epoll_pwait2.c" \
        -o "$here/epoll_pwait2.so"
}

build() {
    PKG_CONFIG_LIBDIR=$libraries/pkgconfig:$root/usr/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root \
        $make -s CC=aarch64-linux-gnu-gcc CFLAGS="-O2 -g --sysroot=$root" LDFLAGS="--sysroot=$root" WERROR=1 "$@"
}

[ -e "$here/unpacked" ] || unpack_packages
write_missing_call
built=build/aarch64-linux-gnu-gcc
build all
for name in queue inbox completion result ring hub; do
    build "$built/tests/${name}_stress"
done
RUN="qemu-aarch64-static -L $root -E LD_PRELOAD=$here/epoll_pwait2.so" tests/stress.sh "$built" "$operations"
