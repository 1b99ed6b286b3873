/* SPDX-License-Identifier: MIT */
/* What the subcommands of `dxh` have in common: their entry points, the exit
 * codes, the wording of a refusal. */
#ifndef TOOL_H
#define TOOL_H

#include <dxh/base.h>

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes of every subcommand; told by `dxh --help`. Those over blocks: block.h. */
enum {
	TOOL_OK = 0,     /* the job was done */
	TOOL_FAILED = 1, /* the job failed; standard error says why */
	TOOL_USAGE = 2   /* the command line cannot be understood */
};

/* One file each; argv[0] is the name of the subcommand. */
int tool_bench(int argc, char **argv);
int tool_broker(int argc, char **argv);
int tool_cat(int argc, char **argv);
int tool_check(int argc, char **argv);
int tool_demo(int argc, char **argv);
int tool_doctor(int argc, char **argv);
int tool_gc(int argc, char **argv);
int tool_keygen(int argc, char **argv);
int tool_ls(int argc, char **argv);
int tool_record(int argc, char **argv);
int tool_recover(int argc, char **argv);
int tool_replay(int argc, char **argv);
int tool_size(int argc, char **argv);
int tool_stat(int argc, char **argv);
int tool_tail(int argc, char **argv);
int tool_top(int argc, char **argv);

/* "dxh COMMAND: ..." and where help is, on standard error; returns TOOL_USAGE. */
int tool_usage(const char *command, const char *format, ...) DXH_PRINTF(2, 3);

/* "dxh COMMAND: ..." on standard error; returns TOOL_FAILED. */
int tool_fail(const char *command, const char *format, ...) DXH_PRINTF(2, 3);

/* Read a whole decimal number. False, after saying the range, when `text` is
 * none or lies outside of least..most. */
bool tool_number(const char *command, const char *option, const char *text, uint64_t least,
                 uint64_t most, uint64_t *number);

/* Where `dxh broker` listens and the others look for it, when not told:
 * $DXH_BROKER, else ipc:///tmp/dxh-UID/broker. The text fits `capacity_bytes`
 * or the call returns false. */
bool tool_broker_endpoint(char *endpoint, size_t capacity_bytes);

/* "READY=1" and its kin, to the service manager if there is one: sd_notify(3). */
void tool_notify(const char *state);

/* The folder of that default endpoint must belong to the caller alone, or somebody
 * else could play the broker: false, after saying so, when it does not. Made when
 * it is missing and `make` is true. Other endpoints are the user's affair. */
bool tool_broker_folder(const char *command, const char *endpoint, bool make);

/* What ends a command in good order: SIGINT, SIGTERM, and SIGHUP of a terminal that is closed,
 * unless it is to be ignored, as by nohup(1). To be blocked and waited for, or handled. */
void tool_end_signals(sigset_t *set);
void tool_when_ended(void (*handler)(int));

/* Serve as broker until one of the signals in `until` comes, which the caller has
 * blocked in all threads. Returns an exit code; what went wrong is in
 * dxh_last_error(). */
int tool_broker_serve(const char *endpoint, const sigset_t *until);

#endif
