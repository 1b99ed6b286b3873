/* SPDX-License-Identifier: MIT */
/* What every part of the API shares: status codes, time, errors, the log.
 *
 * Argument order: object, inputs (a length right after its pointer), options,
 * deadline, outputs. Strings are UTF-8 and NUL-terminated unless a length
 * stands beside them.
 *
 * `Thread:` lines use one of three words. any: every thread, at any time,
 * several at once. owner: one thread at a time. io: only the I/O thread, that
 * is, inside a callback documented to run there.
 */
#ifndef DXH_BASE_H
#define DXH_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DXH_VERSION_MAJOR 1
#define DXH_VERSION_MINOR 0
#define DXH_VERSION_PATCH 0

#define DXH_API __attribute__((visibility("default")))
#define DXH_NODISCARD __attribute__((warn_unused_result))
#define DXH_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Every status: X(name, code, what happened, what the caller can do).
 * Codes are part of the ABI and of the wire: none is ever given a second
 * meaning. Detail of the last failure of this thread: dxh_last_error(). */
#define DXH_STATUS_LIST(X)                                                                         \
	X(DXH_OK, 0, "success", "nothing to do")                                                   \
	X(DXH_EINVAL, 1, "an argument is not usable", "correct the argument named")                \
	X(DXH_ENOMEM, 2, "out of memory", "free memory or ask for less")                           \
	X(DXH_EFULL, 3, "no credit or slot is free", "await or release completions, or wait")      \
	X(DXH_EWAIT, 4, "this wait is over, the thing waited for lives", "wait again")             \
	X(DXH_EEXPIRED, 5, "the operation's own deadline passed", "see the certainty, then retry") \
	X(DXH_ECANCELED, 6, "the operation was cancelled", "nothing to do")                        \
	X(DXH_ELOST, 7, "the connection ended before the answer", "see the certainty, then retry") \
	X(DXH_ECLOSED, 8, "the object is closed", "open a new one")                                \
	X(DXH_EDRAINING, 9, "the hub is draining and takes no new work", "post before draining")   \
	X(DXH_ESTALE, 10, "the handle was released or never issued", "keep one owner per handle")  \
	X(DXH_EDEADLK, 11, "the I/O thread may not wait", "wait on another thread")                \
	X(DXH_EFORKED, 12, "the object belongs to the parent process", "open a new hub here")      \
	X(DXH_EBUSY, 13, "somebody else holds it", "wait, or see who holds it")                    \
	X(DXH_EEMPTY, 14, "nothing is outstanding or stored", "post or publish something first")   \
	X(DXH_ELAPPED, 15, "the writer overtook this reader", "read on; the loss was counted")     \
	X(DXH_EEVICTED, 16, "the writer went on without this reader", "read on from now")          \
	X(DXH_EDEAD, 17, "the producer died", "wait for a successor or start one")                 \
	X(DXH_ECORRUPT, 18, "stored or received bytes break a rule", "see offset and rule")        \
	X(DXH_EVERSION, 19, "the format or protocol version differs", "use matching versions")     \
	X(DXH_ENOTFOUND, 20, "no such name", "check the name, or start what provides it")          \
	X(DXH_EEXIST, 21, "the name is taken", "choose another name or remove the old one")        \
	X(DXH_ECONFLICT, 22, "a live owner holds the name", "stop it first, or use another name")  \
	X(DXH_ENOTOWNER, 23, "only the owner may do this", "ask as the owner")                     \
	X(DXH_ESCHEMA, 24, "the two sides describe the data differently", "see the field named")   \
	X(DXH_ESIZE, 25, "wrong size or alignment", "use the size named")                          \
	X(DXH_EZONE, 26, "no zone of that name or index", "list the zones")                        \
	X(DXH_ETOOBIG, 27, "larger than the configured limit", "raise the limit or send less")     \
	X(DXH_EPROTO, 28, "the peer broke the protocol", "check what listens there")               \
	X(DXH_EACCESS, 29, "permission denied", "check owner, mode and group")                     \
	X(DXH_ENOSPACE, 30, "not enough space", "see need and have")                               \
	X(DXH_ELIMIT, 31, "a limit of the system is reached", "see need, have and limit")          \
	X(DXH_ESYSTEM, 32, "the system refused", "see the system's own reason")                    \
	X(DXH_EREJECTED, 33, "the service rejected the request", "see its text")                   \
	X(DXH_EOVERLOADED, 34, "the service has no room for the request", "retry later")           \
	X(DXH_EINSECURE, 35, "would listen beyond this machine without encryption",                \
	  "bind to loopback or ipc, or set insecure")                                              \
	X(DXH_EUNSUPPORTED, 36, "not available here", "see what is missing")                       \
	X(DXH_ESTATE, 37, "not possible in this state", "see the order of calls")                  \
	X(DXH_EUNLINKED, 38, "the block was unlinked while in use", "attach again by name")        \
	X(DXH_EUNKNOWN, 39, "the service does not know this subject", "check the subject")         \
	X(DXH_EREPEATED, 40, "executed before, and the answer is not kept", "see what it did")     \
	X(DXH_EMOVED, 41, "it goes on in another block", "ask for zones again, and read on")

typedef enum dxh_status {
#define DXH_STATUS_ENUM_(name, code, text, advice) name = code,
	DXH_STATUS_LIST(DXH_STATUS_ENUM_)
#undef DXH_STATUS_ENUM_
} dxh_status;

/* Name ("DXH_EFULL"), sentence and advice of a status, also of one that this
 * build does not know. Thread: any. Owner: static text. */
DXH_API const char *dxh_status_name(dxh_status status);
DXH_API const char *dxh_status_text(dxh_status status);
DXH_API const char *dxh_status_advice(dxh_status status);

/* What went wrong in this thread's last failed call, with its values: one
 * line, "DXH_EFULL: ...", never NULL, "" before the first failure.
 * Thread: any. Owner: the library; valid until this thread's next failure. */
DXH_API const char *dxh_last_error(void);

/* "1.0.0". Thread: any. */
DXH_API const char *dxh_version(void);

/* A deadline is absolute nanoseconds of CLOCK_MONOTONIC. */
#define DXH_FOREVER INT64_MAX
#define DXH_NOW ((int64_t)0)

/* Now, and a deadline that many units from now (negative counts as zero,
 * overflow as DXH_FOREVER). Thread: any. */
DXH_API int64_t dxh_now_ns(void);
DXH_API int64_t dxh_in_ns(int64_t ns);
DXH_API int64_t dxh_in_us(int64_t us);
DXH_API int64_t dxh_in_ms(int64_t ms);

typedef enum dxh_log_level {
	DXH_LOG_ERROR = 1,
	DXH_LOG_WARNING = 2,
	DXH_LOG_INFO = 3,
	DXH_LOG_DEBUG = 4
} dxh_log_level;

/* Called with one line without newline; of lines of one kind at most 20 a second, the
 * next then tells how many were left out. May run on any thread, also on the
 * I/O thread: it must not block and must not call back into the hub. */
typedef void (*dxh_log_fn)(void *context, dxh_log_level level, const char *line);

/* Send log lines up to `level` to `fn`; NULL silences them. Default: errors
 * and warnings go to standard error. Thread: any, but not while others log:
 * set it before the first hub is opened. */
DXH_API void dxh_log_set(dxh_log_level level, dxh_log_fn fn, void *context);

#ifdef __cplusplus
}
#endif
#endif
