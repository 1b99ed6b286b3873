#!/bin/sh
# SPDX-License-Identifier: MIT
# deb.sh VERSION FOLDER: make the Debian packages in FOLDER, let lintian look at them, then
# install them over this system, in an overlay that is thrown away, and use them there, also
# as a user who has nothing else (tests/stranger).
set -eu

version=$1
folder=$2
here=$PWD
rm -rf "$folder"
mkdir -p "$folder/source"
folder=$(realpath "$folder")
tar --exclude=./build --exclude=./.git -cf - . | tar -xf - -C "$folder/source"
cp -r tools/install/debian "$folder/source/debian"
cat >"$folder/source/debian/changelog" <<C
dxhub ($version) unstable; urgency=medium

  * See CHANGELOG.md.

 -- $(sed -n 's/^Maintainer: //p' tools/install/debian/control)  $(date -R -r CHANGELOG.md)
C
cd "$folder/source"
dpkg-buildpackage -b -us -uc >"$folder/log" 2>&1 || { tail -n 40 "$folder/log"; exit 1; }
cd "$folder"
lintian --fail-on error --tag-display-limit 0 ./*.changes
count=0
for package in ./*.deb; do
    case $package in *-dbgsym_*) continue ;; esac
    count=$((count + 1))
done
[ $count -ge 4 ] || { echo "only $count packages were made"; exit 1; }

if [ "$(id -u)" -ne 0 ]; then
    echo "made $count packages in $folder; installing them needs root and was not tried"
    exit 0
fi
cp -r "$here/docs/examples" "$folder/examples"
cp -r "$here/tests/stranger" "$folder/stranger"
unshare --mount --propagation private sh -eu -s "$folder" <<'C'
folder=$1
work=$(mktemp -d)
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
mount -t proc proc "$work/root/proc"
mount --bind /dev "$work/root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$work/root/dev/shm"
mkdir -p "$work/root/try"
cp "$folder"/*.deb "$work/root/try/"
cp "$folder/examples/post_await.c" "$work/root/try/"
cp -r "$folder/stranger" "$work/root/try/"
chroot "$work/root" sh -eu <<'D'
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /try
rm -f ./*-dbgsym_*
# Images of containers leave documentation out.
dpkg --path-include='/usr/share/doc/*' -i ./*.deb >log 2>&1 || { cat log; exit 1; }
gcc post_await.c $(pkg-config --cflags --libs dxh) -o post_await
./post_await >/dev/null
/usr/bin/dxh --version
/usr/bin/dxh ls --timeout 100 --broker ipc://@dxh-deb-nobody 2>/dev/null && exit 1
test -e /lib/systemd/system/dxh-broker.service
zgrep -q dxh_post /usr/share/man/man3/dxh_message.3.gz
/usr/bin/python3 -c 'import dxh; hub = dxh.Hub(); hub.close()'
useradd --create-home stranger
cp -r stranger /home/stranger/programs
su - stranger -c 'timeout 300 programs/run.sh'
[ -z "$(ls -A /dev/shm)" ] || { ls -lA /dev/shm; exit 1; }
dpkg --purge python3-dxh dxh libdxh-dev libdxh1 >log 2>&1 || { cat log; exit 1; }
test ! -e /usr/bin/dxh && test ! -e /usr/include/dxh.h
D
C
echo "made $count packages in $folder, installed, used and purged"
