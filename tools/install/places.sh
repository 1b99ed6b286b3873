#!/bin/sh
# SPDX-License-Identifier: MIT
# places.sh: refuse names of places that would be torn apart, or be other ones in what is
# installed than in what installs it. DESTDIR and PLACES, "NAME=PLACE ...", are in the environment.
set -euf

fail() {
    echo "$1" >&2
    exit 1
}

case $DESTDIR in
*[\"\$\`\\]*) fail "DESTDIR=$DESTDIR has a character that a shell reads: use another name" ;;
esac
for each in $PLACES; do
    place=${each#*=}
    case $each in
    *=*) ;;
    *) fail "$PLACES: a place cannot have spaces in it: use other names" ;;
    esac
    case $place in
    *[!A-Za-z0-9/._+,@~-]*) fail "$each: a place has only letters, digits and /._+,@~- in it" ;;
    /* | "") ;;
    *) fail "$each: a place begins with /, since what is installed says it: use DESTDIR to install elsewhere" ;;
    esac
done
