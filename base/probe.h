/* SPDX-License-Identifier: MIT */
/* Static probes for tracers (USDT): a nop in the code and a note in the file, which
 * perf, bpftrace and SystemTap find by name. docs/probes.md lists them.
 *
 * Without <sys/sdt.h> (Debian: systemtap-sdt-dev), or with DXH_NO_PROBES, nothing is
 * left of them. Arguments are what is at hand: reading them must not cost more than the
 * nop, and they have no side effects.
 */
#ifndef DXI_PROBE_H
#define DXI_PROBE_H

#if defined(__has_include) && !defined(DXH_NO_PROBES)
#if __has_include(<sys/sdt.h>)
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#endif
#endif

#ifdef STAP_PROBEV
/* Its variadic macros are not those of C11, about which clang complains here. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif
#define DXI_PROBE(name, ...) STAP_PROBEV(dxh, name, __VA_ARGS__)
#else
/* Never called: its arguments count as used. */
static inline void dxi_no_probe(int unused, ...)
{
	(void)unused;
}
#define DXI_PROBE(name, ...)                                                                       \
	do {                                                                                       \
		if (0)                                                                             \
			dxi_no_probe(0, __VA_ARGS__);                                              \
	} while (0)
#endif

#endif
