/* SPDX-License-Identifier: MIT */
/* The command `dxh`: finds the subcommand and hands over. */
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNABLE = 3 }; /* of those over blocks, see block.h */

/* A subcommand is a row here and a file of its own. */
static const struct command {
	const char *name;
	const char *help;
	int (*run)(int argc, char **argv);
	int unwritten; /* its exit code when standard output cannot take what it tells */
} commands[] = {
	{"demo", "show it all at work on this machine, and check that it adds up", tool_demo,
         TOOL_FAILED},
	{"broker", "run a broker in the foreground", tool_broker, TOOL_FAILED},
	{"keygen", "make a key pair for encrypted connections", tool_keygen, TOOL_FAILED},
	{"ls", "list the channels that a broker knows", tool_ls, TOOL_FAILED},
	{"stat", "tell what a block is, who uses it, what was counted", tool_stat, UNABLE},
	{"top", "watch all blocks as they work", tool_top, TOOL_FAILED},
	{"cat", "print what a block holds, by the members of its structs", tool_cat, UNABLE},
	{"tail", "show what is published, as it comes", tool_tail, TOOL_FAILED},
	{"check", "look whether a block is in order", tool_check, UNABLE},
	{"recover", "put in order what a crash left in a block", tool_recover, UNABLE},
	{"size", "tell how many bytes a block will take", tool_size, UNABLE},
	{"gc", "remove blocks that nobody uses", tool_gc, UNABLE},
	{"record", "write what is published into a file", tool_record, TOOL_FAILED},
	{"replay", "publish again what was recorded", tool_replay, TOOL_FAILED},
	{"doctor", "look whether this machine has what is needed", tool_doctor, TOOL_FAILED},
	{"bench", "compare with what could be used instead, in alternating rounds", tool_bench,
         TOOL_FAILED},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void list_commands(FILE *out)
{
	fprintf(out, "commands:\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
}

static int help(FILE *out)
{
	fprintf(out, "usage: dxh COMMAND [OPTION]...\n"
	             "       dxh help COMMAND\n"
	             "       dxh --help | --version\n\n"
	             "Exchange data and commands between programs at memory speed.\n\n");
	list_commands(out);
	fprintf(out,
	        "\nenvironment: DXH_BROKER the broker to ask, an endpoint; DXH_BROKER_KEY its "
	        "public "
	        "key,\n             where it has one, and DXH_KEY_FILE a file with a secret key "
	        "that it\n             lets in (see dxh keygen); DXH_SHM_DIR where blocks lie; "
	        "NO_COLOR\n"
	        "--json:      whole values on standard output or, behind an error, none more; "
	        "the\n             error itself is text on standard error\n"
	        "exit status: 0 success, 1 the job failed or something was found, 2 wrong "
	        "usage,\n"
	        "             3 it could not be tried; each command says what it means by them\n"
	        "example:     dxh demo --seconds 5\n");
	return TOOL_OK;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	fprintf(stderr, "dxh: there is no command \"%s\"\n", name);
	list_commands(stderr);
	return NULL;
}

static int help_for(const char *name)
{
	const struct command *command = find(name);
	char text[64];
	char option[] = "--help";
	char *arguments[] = {text, option, NULL};

	if (command == NULL)
		return TOOL_USAGE;
	snprintf(text, sizeof text, "%s", command->name);
	return command->run(2, arguments);
}

/* The end of each: what was told must have gone out. Who went away before the end of what
 * it read knows that. */
static int end(const char *name, int code, int unwritten)
{
	errno = 0;
	if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE || code == unwritten)
		return code;
	fprintf(stderr, "dxh%s%s: cannot write to standard output%s%s\n", name[0] ? " " : "", name,
	        errno ? ": " : "", errno ? strerror(errno) : "");
	return unwritten;
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		help(stderr);
		return TOOL_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return end("", help(stdout), TOOL_FAILED);
	if (strcmp(argv[1], "--version") == 0) {
		printf("dxh %s\n", dxh_version());
		return end("", TOOL_OK, TOOL_FAILED);
	}
	if (strcmp(argv[1], "help") == 0)
		return end("help", argc > 2 ? help_for(argv[2]) : help(stdout), TOOL_FAILED);
	command = find(argv[1]);
	if (command == NULL)
		return TOOL_USAGE;
	return end(command->name, command->run(argc - 1, argv + 1), command->unwritten);
}

/* ---- shared by the subcommands ------------------------------------------------ */

static void say(const char *command, const char *format, va_list values)
{
	fprintf(stderr, "dxh %s: ", command);
	vfprintf(stderr, format, values);
	fputc('\n', stderr);
}

int tool_usage(const char *command, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	say(command, format, values);
	va_end(values);
	fprintf(stderr, "see: dxh %s --help\n", command);
	return TOOL_USAGE;
}

int tool_fail(const char *command, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	say(command, format, values);
	va_end(values);
	return TOOL_FAILED;
}

bool tool_number(const char *command, const char *option, const char *text, uint64_t least,
                 uint64_t most, uint64_t *number)
{
	unsigned long long value = 0;
	char *end = NULL;

	errno = 0;
	if (text[0] >= '0' && text[0] <= '9')
		value = strtoull(text, &end, 10);
	if (end == NULL || *end != '\0' || errno != 0 || value < least || value > most) {
		tool_usage(command, "%s takes a whole number from %llu to %llu, not \"%s\"", option,
		           (unsigned long long)least, (unsigned long long)most, text);
		return false;
	}
	*number = value;
	return true;
}

void tool_end_signals(sigset_t *set)
{
	struct sigaction hangup;

	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	/* A signal that is ignored is waited for all the same where it is blocked. */
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		sigaddset(set, SIGHUP);
}

void tool_when_ended(void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};
	sigset_t set;

	tool_end_signals(&set);
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&set, number) == 1)
			sigaction(number, &action, NULL);
}

bool tool_broker_endpoint(char *endpoint, size_t capacity_bytes)
{
	const char *given = getenv("DXH_BROKER");
	int length;

	if (given != NULL && given[0] != '\0')
		length = snprintf(endpoint, capacity_bytes, "%s", given);
	else
		length = snprintf(endpoint, capacity_bytes, "ipc:///tmp/dxh-%u/broker",
		                  (unsigned)getuid());
	return length >= 0 && (size_t)length < capacity_bytes;
}
