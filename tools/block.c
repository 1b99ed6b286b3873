/* SPDX-License-Identifier: MIT */
/* The command line of the subcommands over blocks, and their refusals. */
#include "block.h"

#include "channel.h"
#include "recording.h"
#include "text.h"
#include "users.h"

#include <dxh/inspect.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the command line ---- */

static const struct block_option {
	const char *name;
	unsigned for_whom; /* 0: all */
	int takes_value;
	int letter;
} known[] = {
	{"dir", 0, required_argument, 'd'},
	{"owner", BLOCK_NAME | BLOCK_FILE, required_argument, 'o'},
	{"key", BLOCK_KEY, required_argument, 'k'},
	{"broker", BLOCK_CHANNEL, required_argument, 'b'},
	{"apply", BLOCK_APPLY, no_argument, 'a'},
	{"keep-closed", BLOCK_KEEP, no_argument, 'c'},
	{"json", 0, no_argument, 'j'},
	{"help", 0, no_argument, 'h'},
};

enum { KNOWN = sizeof known / sizeof known[0], OWN_MAX = 16 };

/* Letters of `own` are told from the others by this. */
enum { OWN = 0x100 };

static void choose_options(unsigned takes, const struct block_own *own,
                           struct option options[KNOWN + OWN_MAX + 1])
{
	size_t count = 0;

	for (size_t i = 0; i < KNOWN; i++)
		if (known[i].for_whom == 0 || (known[i].for_whom & takes) != 0)
			options[count++] = (struct option){known[i].name, known[i].takes_value,
			                                   NULL, known[i].letter};
	for (size_t i = 0; own != NULL && i < OWN_MAX && own->options[i].name != NULL; i++) {
		options[count] = own->options[i];
		options[count++].val += OWN;
	}
	options[count] = (struct option){0};
}

static bool take_owner(struct block_arguments *arguments, const char *text)
{
	const struct passwd *user = getpwnam(text);
	uint64_t uid;

	if (user != NULL) {
		arguments->owner_uid_plus1 = (uint32_t)user->pw_uid + 1;
		return true;
	}
	if (!tool_number(arguments->command, "--owner, unless it is the name of a user,", text, 0,
	                 UINT32_MAX - 2, &uid))
		return false;
	arguments->owner_uid_plus1 = (uint32_t)uid + 1;
	return true;
}

static bool take_key(struct block_arguments *arguments, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char bytes[DXH_CHECKSUM_KEY_BYTES + 1];
	ssize_t got = fd == -1 ? -1 : read(fd, bytes, sizeof bytes);
	int error = errno;

	if (fd != -1)
		close(fd);
	if (got == DXH_CHECKSUM_KEY_BYTES) {
		memcpy(arguments->key_bytes, bytes, DXH_CHECKSUM_KEY_BYTES);
		arguments->key = arguments->key_bytes;
		return true;
	}
	if (got == -1)
		tool_usage(arguments->command, "--key %s: %s", tool_shown(path).s, strerror(error));
	else
		tool_usage(arguments->command,
		           "--key takes a file of exactly %d bytes, the key itself; %s is no such",
		           DXH_CHECKSUM_KEY_BYTES, tool_shown(path).s);
	return false;
}

static bool take_option(int letter, int (*help)(void), struct block_arguments *arguments, int *code)
{
	*code = TOOL_USAGE;
	switch (letter) {
	case 'd':
		arguments->directory = optarg;
		return true;
	case 'b':
		arguments->broker = optarg;
		return true;
	case 'o':
		return take_owner(arguments, optarg);
	case 'k':
		return take_key(arguments, optarg);
	case 'a':
		return arguments->apply = true;
	case 'c':
		return arguments->keep_closed = true;
	case 'j':
		return arguments->as_json = true;
	case 'h':
		*code = help();
		return false;
	default:
		tool_usage(arguments->command, "that cannot be understood");
		return false;
	}
}

/* No name begins like a path does. */
static bool take_block(unsigned takes, const char *text, struct block_arguments *arguments)
{
	arguments->given = text;
	if (text[0] != '/' && text[0] != '.') {
		arguments->name = text;
		return true;
	}
	arguments->file = text;
	if ((takes & BLOCK_FILE) == 0)
		tool_usage(arguments->command, "name a block, not a file: %s", tool_shown(text).s);
	else if (arguments->directory != NULL)
		tool_usage(arguments->command, "%s is a file: --dir says nothing about it",
		           tool_shown(text).s);
	else
		return true;
	return false;
}

static bool take_rest(int argc, char **argv, unsigned takes, struct block_arguments *arguments)
{
	bool takes_one = (takes & (BLOCK_NAME | BLOCK_FILE)) != 0;

	if (optind < argc && !takes_one)
		tool_usage(arguments->command, "what is \"%s\"?", tool_shown(argv[optind]).s);
	else if (optind + 1 < argc)
		tool_usage(arguments->command, "one block at a time: what is \"%s\"?",
		           tool_shown(argv[optind + 1]).s);
	else if (optind == argc && takes_one && (takes & BLOCK_LIST) == 0)
		tool_usage(arguments->command, "which block?");
	else
		return optind == argc || take_block(takes, argv[optind], arguments);
	return false;
}

/* A name may be one that a broker knows: then it knows the directory, too. */
static bool find_channel(unsigned takes, struct block_arguments *arguments, int *code)
{
	if ((takes & BLOCK_CHANNEL) == 0 || arguments->name == NULL)
		return true;
	if (arguments->broker != NULL && arguments->directory != NULL) {
		tool_usage(arguments->command,
		           "a channel's broker knows the directory: --broker or --dir");
		return false;
	}
	if (arguments->directory == NULL)
		arguments->broker = channel_broker(arguments->broker);
	if (arguments->broker == NULL)
		return true;
	*code = TOOL_UNABLE;
	arguments->directory = arguments->found_directory;
	return channel_find(arguments->command, arguments->broker, arguments->name,
	                    arguments->found_directory);
}

bool block_arguments(int argc, char **argv, unsigned takes, int (*help)(void),
                     struct block_arguments *arguments, int *code)
{
	return block_arguments_and(argc, argv, takes, help, NULL, arguments, code);
}

bool block_arguments_and(int argc, char **argv, unsigned takes, int (*help)(void),
                         const struct block_own *own, struct block_arguments *arguments, int *code)
{
	struct option options[KNOWN + OWN_MAX + 1];
	int letter;

	*arguments = (struct block_arguments){.command = argv[0]};
	choose_options(takes, own, options);
	while ((letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		*code = TOOL_USAGE;
		if (letter >= OWN ? !own->take(own->context, letter - OWN, optarg)
		                  : !take_option(letter, help, arguments, code))
			return false;
	}
	*code = TOOL_USAGE;
	return take_rest(argc, argv, takes, arguments) && find_channel(takes, arguments, code);
}

const char *block_directory(const struct block_arguments *arguments)
{
	const char *environment = getenv("DXH_SHM_DIR");

	if (arguments->directory != NULL)
		return arguments->directory;
	return environment != NULL && environment[0] != '\0' ? environment : "/dev/shm";
}

/* ---- refusals ---- */

struct removed_block {
	const struct block_arguments *arguments;
	char link[64];
};

/* Does this link lead to a block of the name that has no name any more? */
static bool is_removed_block(void *context, const char *link)
{
	struct removed_block *removed = context;
	const struct block_arguments *arguments = removed->arguments;
	dxh_inspect_config config = {.file = link, .owner_uid_plus1 = arguments->owner_uid_plus1};
	dxh_facts *facts = NULL;
	bool is_it = dxh_block_facts(NULL, &config, &facts) == DXH_OK && facts->block.unlinked &&
	             strcmp(facts->block.name, arguments->name) == 0;

	dxh_facts_free(&facts);
	if (is_it)
		snprintf(removed->link, sizeof removed->link, "%s", link);
	return is_it;
}

/* There is no such name: was it taken from somebody who still has the block? */
static bool explain_removed(const struct block_arguments *arguments)
{
	struct removed_block removed = {.arguments = arguments};
	struct users users = {0};
	bool found;

	if (arguments->name != NULL)
		users_find_removed(block_directory(arguments), is_removed_block, &removed, &users);
	found = users.count > 0;
	if (found)
		fprintf(stderr, "it was unlinked under its users (rm, systemd RemoveIPC):\n");
	for (size_t i = 0; i < users.count; i++)
		fprintf(stderr, "  pid %ld, \"%s\", %s\n", users.list[i].pid,
		        tool_shown(users.list[i].command).s,
		        users.list[i].writing > 0 ? "produces" : "reads");
	if (found)
		fprintf(stderr,
		        "next: restart its producer, which makes a new block that readers find by "
		        "name; `dxh stat %s` looks at this one\n",
		        removed.link);
	users_free(&users);
	return found;
}

/* What was named, or what lies at the name; the links of /proc are the kernel's. */
static bool is_no_file(const struct block_arguments *arguments)
{
	char path[4096];
	struct stat found;
	int at;

	if (arguments->file != NULL)
		return (strncmp(arguments->file, "/proc/", 6) == 0
		                ? stat(arguments->file, &found)
		                : lstat(arguments->file, &found)) == 0 &&
		       !S_ISREG(found.st_mode);
	at = snprintf(path, sizeof path, "%s/", block_directory(arguments));
	if (arguments->name == NULL || at < 0 || (size_t)at >= sizeof path)
		return false;
	snprintf(path + at, sizeof path - (size_t)at, "%s.dxh", arguments->name);
	for (char *c = path + at; *c != '\0'; c++)
		if (*c == '/')
			*c = '+';
	return lstat(path, &found) == 0 && !S_ISREG(found.st_mode);
}

/* Who is told of the sums' key may look at the rest. */
static bool is_keyed(const struct block_arguments *arguments)
{
	dxh_inspect_config config = {.directory = arguments->directory,
	                             .file = arguments->file,
	                             .owner_uid_plus1 = arguments->owner_uid_plus1};
	dxh_facts *facts = NULL;
	bool keyed = dxh_block_facts(arguments->name, &config, &facts) == DXH_OK &&
	             facts->checksum_keyed;

	dxh_facts_free(&facts);
	return keyed;
}

static const char *access_step(const struct block_arguments *arguments)
{
	if (is_no_file(arguments))
		return arguments->file != NULL ? "name the data file itself, a regular file"
		                               : "no block lies at this name: see who put that "
		                                 "there, and remove it";
	if (is_keyed(arguments))
		return "--key FILE names the key that the block was made with";
	return "ask as its owner or as root; --owner USER accepts a block of another user";
}

static const char *next_step(const struct block_arguments *arguments, dxh_status status)
{
	switch (status) {
	case DXH_ENOTFOUND:
		return "`dxh stat` lists the blocks that are there; --dir or DXH_SHM_DIR names "
		       "another directory";
	case DXH_EACCESS:
		return access_step(arguments);
	case DXH_ECORRUPT:
	case DXH_EVERSION:
		return "`dxh check` tells what is wrong with it";
	case DXH_EBUSY:
		return "a live producer needs no help; where `dxh check` finds fault restart it, "
		       "and "
		       "stop it if the block has to go";
	default:
		return dxh_status_advice(status);
	}
}

int block_unable(const struct block_arguments *arguments, dxh_status status)
{
	if (status == DXH_ECORRUPT && arguments->file != NULL &&
	    recording_is_one(arguments->file)) {
		tool_fail(arguments->command, "%s is a recording, no block",
		          tool_shown(arguments->file).s);
		fprintf(stderr, "next: `dxh replay --csv - FILE` shows what is in it\n");
		return TOOL_UNABLE;
	}
	tool_fail(arguments->command, "%s", tool_shown(dxh_last_error()).s);
	if (status != DXH_ENOTFOUND || !explain_removed(arguments))
		fprintf(stderr, "next: %s\n", next_step(arguments, status));
	return TOOL_UNABLE;
}

const char *block_liveness(dxh_liveness producer)
{
	switch (producer) {
	case DXH_PRODUCER_ALIVE:
		return "alive";
	case DXH_PRODUCER_CLOSED:
		return "closed";
	case DXH_PRODUCER_DEAD:
		return "dead";
	case DXH_PRODUCER_UNKNOWN:
		break;
	}
	return "unknown";
}
