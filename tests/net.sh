#!/bin/sh
# SPDX-License-Identifier: MIT
# net.sh PROGRAM FAULT_MS [NAME]: bring network faults to hubs that talk, see
# tests/net/net.c. Hosts and cables are made in namespaces, which die with the processes;
# who is not root makes them in a namespace of users, where the kernel allows it.
set -u

[ "$(id -u)" -ne 0 ] && unshare -r true 2>/dev/null && exec unshare -r "$@"
exec "$@"
