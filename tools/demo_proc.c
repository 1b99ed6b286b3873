/* SPDX-License-Identifier: MIT */
/* Descriptors stay open and are read from the start each time; the text is parsed
 * by hand, for a sample must cost microseconds. */
#include "demo_proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TEXT_BYTES = 256 * 1024,  /* /proc/stat lists every interrupt line */
	RECORD_PAGE_BYTES = 3072, /* a file of records fills at least that much of a page
	                           * before it asks to be read on */
	DISKS_MAX = 64,
	DISK_NAME_MAX = 32
};

struct demo_proc {
	int fd[PROC_FILES];
	uint32_t present;
	unsigned disks;
	char disk[DISKS_MAX][DISK_NAME_MAX];
	char text[TEXT_BYTES];
};

const char *demo_proc_path(enum proc_file file)
{
	static const char *const paths[PROC_FILES] = {"/proc/stat", "/proc/meminfo",
	                                              "/proc/net/dev", "/proc/diskstats",
	                                              "/proc/schedstat"};

	return file < PROC_FILES ? paths[file] : "?";
}

/* The whole text, NUL-terminated; "" when it cannot be read. stat and meminfo
 * come in one piece, the others a page of whole lines at a time. */
static const char *read_text(struct demo_proc *proc, enum proc_file file)
{
	size_t used = 0;
	ssize_t count;

	do {
		count = pread(proc->fd[file], proc->text + used, TEXT_BYTES - 1 - used,
		              (off_t)used);
		if (count > 0)
			used += (size_t)count;
	} while (count >= RECORD_PAGE_BYTES && used < TEXT_BYTES - 1 && file != PROC_STAT &&
	         file != PROC_MEMINFO);
	proc->text[used] = '\0';
	return proc->text;
}

static uint64_t take_number(const char **at)
{
	uint64_t number = 0;

	while (**at == ' ')
		(*at)++;
	for (; **at >= '0' && **at <= '9'; (*at)++)
		number = number * 10 + (uint64_t)(**at - '0');
	return number;
}

static void skip_word(const char **at)
{
	while (**at == ' ')
		(*at)++;
	while (**at != ' ' && **at != '\n' && **at != '\0')
		(*at)++;
}

static void skip_line(const char **at)
{
	while (**at != '\n' && **at != '\0')
		(*at)++;
	if (**at == '\n')
		(*at)++;
}

/* Does the line begin with `word`? Then step behind it. */
static bool take_word(const char **at, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(*at, word, length) != 0)
		return false;
	*at += length;
	return true;
}

static void parse_stat(const char *at, struct sample *sample)
{
	uint64_t column[8];

	for (; *at != '\0'; skip_line(&at)) {
		if (take_word(&at, "cpu ")) {
			for (unsigned i = 0; i < 8; i++)
				column[i] = take_number(&at);
			sample->cpu_user = column[0] + column[1];
			sample->cpu_system = column[2] + column[5] + column[6];
			sample->cpu_idle = column[3];
			sample->cpu_iowait = column[4];
		} else if (take_word(&at, "intr ")) {
			sample->interrupts = take_number(&at);
		} else if (take_word(&at, "ctxt ")) {
			sample->context_switches = take_number(&at);
			return;
		}
	}
}

static void parse_meminfo(const char *at, struct sample *sample)
{
	for (; *at != '\0'; skip_line(&at)) {
		if (take_word(&at, "MemTotal:")) {
			sample->memory_total_kib = take_number(&at);
		} else if (take_word(&at, "MemFree:")) {
			sample->memory_free_kib = take_number(&at);
		} else if (take_word(&at, "MemAvailable:")) {
			sample->memory_available_kib = take_number(&at);
			return;
		}
	}
}

static void parse_net_dev(const char *at, struct sample *sample)
{
	skip_line(&at);
	skip_line(&at);
	for (; *at != '\0'; skip_line(&at)) {
		while (*at == ' ')
			at++;
		if (take_word(&at, "lo:"))
			continue;
		while (*at != ':' && *at != '\n' && *at != '\0')
			at++;
		if (*at != ':')
			continue;
		at++;
		sample->net_rx_bytes += take_number(&at);
		sample->net_rx_packets += take_number(&at);
		for (unsigned i = 0; i < 6; i++)
			take_number(&at);
		sample->net_tx_bytes += take_number(&at);
		sample->net_tx_packets += take_number(&at);
	}
}

/* Step to the counters of a line of diskstats; the name is copied. */
static void take_disk_name(const char **at, char name[DISK_NAME_MAX])
{
	const char *begin;
	size_t length;

	take_number(at);
	take_number(at);
	while (**at == ' ')
		(*at)++;
	begin = *at;
	skip_word(at);
	length = (size_t)(*at - begin);
	if (length >= DISK_NAME_MAX)
		length = DISK_NAME_MAX - 1;
	memcpy(name, begin, length);
	name[length] = '\0';
}

static bool is_counted(const struct demo_proc *proc, const char *name)
{
	for (unsigned i = 0; i < proc->disks; i++)
		if (strcmp(proc->disk[i], name) == 0)
			return true;
	return false;
}

static void parse_diskstats(const struct demo_proc *proc, const char *at, struct sample *sample)
{
	char name[DISK_NAME_MAX];

	for (; *at != '\0'; skip_line(&at)) {
		take_disk_name(&at, name);
		if (!is_counted(proc, name))
			continue;
		sample->disk_reads += take_number(&at);
		take_number(&at);
		sample->disk_read_sectors += take_number(&at);
		take_number(&at);
		sample->disk_writes += take_number(&at);
		take_number(&at);
		sample->disk_written_sectors += take_number(&at);
	}
}

static void parse_schedstat(const char *at, struct sample *sample)
{
	for (; *at != '\0'; skip_line(&at)) {
		if (!take_word(&at, "cpu"))
			continue;
		skip_word(&at);
		for (unsigned i = 0; i < 6; i++)
			take_number(&at);
		sample->run_ns += take_number(&at);
		sample->wait_ns += take_number(&at);
	}
}

/* Whole disks, once: a partition would count twice, and what loop, ram and zram
 * devices do is done by others or in memory. */
static void choose_disks(struct demo_proc *proc)
{
	const char *at = read_text(proc, PROC_DISKSTATS);
	char name[DISK_NAME_MAX];
	char path[DISK_NAME_MAX + 16];

	for (; *at != '\0' && proc->disks < DISKS_MAX; skip_line(&at)) {
		take_disk_name(&at, name);
		snprintf(path, sizeof path, "/sys/block/%s", name);
		if (strncmp(name, "loop", 4) != 0 && strncmp(name, "ram", 3) != 0 &&
		    strncmp(name, "zram", 4) != 0 && strncmp(name, "dm-", 3) != 0 &&
		    access(path, F_OK) == 0)
			strcpy(proc->disk[proc->disks++], name);
	}
}

struct demo_proc *demo_proc_open(void)
{
	struct demo_proc *proc = calloc(1, sizeof *proc);

	if (proc == NULL)
		return NULL;
	for (unsigned i = 0; i < PROC_FILES; i++) {
		proc->fd[i] = open(demo_proc_path((enum proc_file)i), O_RDONLY | O_CLOEXEC);
		if (proc->fd[i] != -1 && read_text(proc, (enum proc_file)i)[0] != '\0')
			proc->present |= 1u << i;
	}
	if (proc->present & 1u << PROC_DISKSTATS)
		choose_disks(proc);
	return proc;
}

void demo_proc_close(struct demo_proc *proc)
{
	for (unsigned i = 0; i < PROC_FILES; i++)
		if (proc->fd[i] != -1)
			close(proc->fd[i]);
	free(proc);
}

uint32_t demo_proc_present(const struct demo_proc *proc)
{
	return proc->present;
}

void demo_proc_read(struct demo_proc *proc, struct sample *sample)
{
	if (proc->present & 1u << PROC_STAT)
		parse_stat(read_text(proc, PROC_STAT), sample);
	if (proc->present & 1u << PROC_MEMINFO)
		parse_meminfo(read_text(proc, PROC_MEMINFO), sample);
	if (proc->present & 1u << PROC_NET_DEV)
		parse_net_dev(read_text(proc, PROC_NET_DEV), sample);
	if (proc->present & 1u << PROC_DISKSTATS)
		parse_diskstats(proc, read_text(proc, PROC_DISKSTATS), sample);
	if (proc->present & 1u << PROC_SCHEDSTAT)
		parse_schedstat(read_text(proc, PROC_SCHEDSTAT), sample);
	sample->files_present = proc->present;
}
