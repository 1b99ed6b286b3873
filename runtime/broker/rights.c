/* SPDX-License-Identifier: MIT */
/* Rules in order of their keys: of each question only those of the client's own key, and those
 * for any, are looked at, so that nobody pays for the rules of all others. */
#include "runtime/broker/rights.h"

#include "base/clock.h"
#include "base/status.h"
#include "runtime/broker/message.h"
#include "runtime/keys.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	LINE_BYTES = 512,
	RULES_MAX = 4096,             /* so that a check takes microseconds */
	LOOK_NS = 200 * DXI_NS_PER_MS /* so often the file is looked at */
};

static const char ANY[] = "*";

typedef struct rule {
	char key[DXI_KEY_TEXT_BYTES]; /* "": any */
	unsigned rights;
	char prefix[DXH_CHANNEL_NAME_MAX + 1];
} rule;

/* Invariant: list[0..count) ascend by key. */
typedef struct rules {
	size_t count;
	rule *list;
} rules;

struct dxi_rights {
	char *path;
	pthread_mutex_t lock; /* of all below; held for microseconds, or to read the file */
	rules rules;
	struct stat seen; /* the file as it was read, or refused */
	int64_t looked_ns;
};

/* ---- reading ---- */

/* One word of a line, its end made a NUL; NULL: there is none. */
static char *next_word(char **at)
{
	char *word = *at + strspn(*at, " \t\r\n");
	size_t length = strcspn(word, " \t\r\n");

	if (length == 0)
		return NULL;
	*at = word + length + (word[length] != '\0');
	word[length] = '\0';
	return word;
}

static bool add_right(const char *name, unsigned *rights)
{
	if (strcmp(name, "produce") == 0)
		*rights |= DXI_MAY_PRODUCE;
	else if (strcmp(name, "consume") == 0)
		*rights |= DXI_MAY_CONSUME;
	else if (strcmp(name, "admin") == 0)
		*rights |= DXI_MAY_PRODUCE | DXI_MAY_CONSUME | DXI_MAY_ADMINISTER;
	else
		return false;
	return true;
}

/* NULL: the rule is good; else what is wrong. */
static const char *read_rule(char *key, char *rights, const char *prefix, rule *read)
{
	char *rest = rights, *name;

	*read = (rule){.rights = 0};
	if (strcmp(key, ANY) != 0 && !dxi_key_is_text(key))
		return "the first word is no public key (40 characters, as `dxh keygen` prints "
		       "them), nor *";
	if (strcmp(key, ANY) != 0)
		strcpy(read->key, key);
	if (!rights)
		return "a key without rights: produce, consume, admin, with commas between";
	while ((name = strsep(&rest, ",")))
		if (!add_right(name, &read->rights))
			return "rights are produce, consume and admin, with commas between";
	if (!prefix)
		return "rights without channels: the begin of their names, or *";
	if (strcmp(prefix, ANY) != 0 && !dxi_channel_name_ok(prefix))
		return "the third word is no begin of channel names: 1..63 of A-Z a-z 0-9 . _ - /, "
		       "or *";
	if (strcmp(prefix, ANY) != 0)
		strcpy(read->prefix, prefix);
	return NULL;
}

static dxh_status
take_line(const char *path, unsigned number, char *line, rules *into, size_t *capacity)
{
	char *at = line, *key = next_word(&at), *rights, *prefix;
	const char *wrong;
	rule read;

	if (!key || strcmp(key, "#") == 0)
		return DXH_OK;
	rights = next_word(&at);
	prefix = rights ? next_word(&at) : NULL;
	wrong = read_rule(key, rights, prefix, &read);
	if (wrong)
		return dxi_fail(DXH_EINVAL, "%s:%u: %s", path, number, wrong);
	if (into->count == RULES_MAX)
		return dxi_fail(DXH_ELIMIT, "%s:%u: more than %d lines with rights", path, number,
		                RULES_MAX);
	if (into->count == *capacity) {
		size_t larger = *capacity ? *capacity * 2 : 16;
		rule *list = realloc(into->list, larger * sizeof *list);

		if (!list)
			return dxi_fail(DXH_ENOMEM, "no memory for the rights in %s", path);
		into->list = list;
		*capacity = larger;
	}
	into->list[into->count++] = read;
	return DXH_OK;
}

static int compare_keys(const void *one, const void *other)
{
	return strcmp(((const rule *)one)->key, ((const rule *)other)->key);
}

/* All of a file. The rules are the caller's to free on DXH_OK. */
static dxh_status read_rules(const char *path, struct stat *seen, rules *into)
{
	char line[LINE_BYTES];
	size_t capacity = 0;
	unsigned number = 0;
	FILE *file;
	dxh_status status = dxi_list_open("the rights in", path, &file);

	*into = (rules){.count = 0};
	if (status != DXH_OK)
		return status;
	if (fstat(fileno(file), seen) == -1)
		status = dxi_fail_errno(errno, "the rights in %s", path);
	/* Bounded by the file. */
	while (status == DXH_OK && fgets(line, sizeof line, file)) {
		number++;
		if (!strchr(line, '\n') && !feof(file))
			status = dxi_fail(DXH_EINVAL,
			                  "%s:%u: longer than %zu characters, or holds a NUL", path,
			                  number, sizeof line - 2);
		else
			status = take_line(path, number, line, into, &capacity);
	}
	if (status == DXH_OK && ferror(file))
		status = dxi_fail_errno(errno ? errno : EIO, "reading the rights in %s", path);
	fclose(file);
	if (status == DXH_OK && into->count > 0)
		qsort(into->list, into->count, sizeof *into->list, compare_keys);
	if (status != DXH_OK)
		free(into->list);
	return status;
}

/* Its mode counts as well. Zeros: no file. */
static bool is_same_file(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
	       one->st_size == other->st_size && one->st_ctim.tv_sec == other->st_ctim.tv_sec &&
	       one->st_ctim.tv_nsec == other->st_ctim.tv_nsec;
}

/* Has the file changed? With the lock. */
static void look_again(dxi_rights *rights)
{
	int64_t now_ns = dxh_now_ns();
	struct stat now;
	rules read;

	if (now_ns - rights->looked_ns < LOOK_NS)
		return;
	rights->looked_ns = now_ns;
	if (stat(rights->path, &now) == -1)
		now = (struct stat){.st_size = 0};
	if (is_same_file(&now, &rights->seen))
		return;
	rights->seen = now; /* also if it cannot be read: that is told once */
	if (read_rules(rights->path, &rights->seen, &read) == DXH_OK) {
		free(rights->rules.list);
		rights->rules = read;
		dxi_log(DXH_LOG_INFO, "the rights in %s were read again: %zu lines", rights->path,
		        read.count);
	} else {
		dxi_log(DXH_LOG_ERROR, "rights stay as they were: %s", dxh_last_error());
	}
}

/* ---- opening, closing, asking ---- */

dxh_status dxi_rights_open(const char *path, dxi_rights **opened)
{
	dxi_rights *rights = calloc(1, sizeof *rights);
	dxh_status status;

	if (!rights || !(rights->path = strdup(path))) {
		free(rights);
		return dxi_fail(DXH_ENOMEM, "no memory for the rights in %s", path);
	}
	status = read_rules(path, &rights->seen, &rights->rules);
	if (status != DXH_OK) {
		free(rights->path);
		free(rights);
		return status;
	}
	rights->looked_ns = dxh_now_ns();
	pthread_mutex_init(&rights->lock, NULL);
	*opened = rights;
	return DXH_OK;
}

void dxi_rights_close(dxi_rights *rights)
{
	if (!rights)
		return;
	pthread_mutex_destroy(&rights->lock);
	free(rights->rules.list);
	free(rights->path);
	free(rights);
}

/* How many come before those of this key. */
static size_t first_of(const rules *all, const char *key)
{
	size_t low = 0, high = all->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(all->list[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_granted_to(const rules *all, const char *key, unsigned wanted, const char *channels)
{
	for (size_t i = first_of(all, key); i < all->count; i++) {
		const rule *each = &all->list[i];

		if (strcmp(each->key, key) != 0)
			return false;
		if ((each->rights & wanted) != 0 &&
		    strncmp(channels, each->prefix, strlen(each->prefix)) == 0)
			return true;
	}
	return false;
}

static bool is_granted(dxi_rights *rights, const char *key, unsigned wanted, const char *channels)
{
	bool granted;

	pthread_mutex_lock(&rights->lock);
	look_again(rights);
	/* "" is any. */
	granted = is_granted_to(&rights->rules, "", wanted, channels) ||
	          (key[0] != '\0' && is_granted_to(&rights->rules, key, wanted, channels));
	pthread_mutex_unlock(&rights->lock);
	return granted;
}

static const char *verb_of(dxi_right right)
{
	switch (right) {
	case DXI_MAY_PRODUCE:
		return "produce";
	case DXI_MAY_CONSUME:
		return "consume";
	case DXI_MAY_ADMINISTER:
		break;
	}
	return "administer";
}

dxh_status
dxi_rights_check(dxi_rights *rights, const char *key, dxi_right right, const char *channels)
{
	if (!rights || is_granted(rights, key, right, channels))
		return DXH_OK;
	return dxi_fail(DXH_EACCESS,
	                "key %s may not %s '%s': no line of the broker's rights grants it",
	                key[0] != '\0' ? key : "(none)", verb_of(right),
	                channels[0] != '\0' ? channels : "*");
}

bool dxi_rights_any(dxi_rights *rights, const char *key, const char *channel)
{
	return !rights || is_granted(rights, key, DXI_MAY_PRODUCE | DXI_MAY_CONSUME, channel);
}
