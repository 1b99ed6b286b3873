/* SPDX-License-Identifier: MIT */
/* `dxh doctor`: what this machine has, what it lacks, and what to change. */
#include "doctor.h"

#include "json.h"
#include "text.h"
#include "tool.h"

#include <getopt.h>
#include <stdio.h>

static const char name[] = "doctor";

static int help(void)
{
	printf("usage: dxh doctor [--json]\n\n"
	       "Look whether this machine has what dxhub needs to work and to be fast: shared\n"
	       "memory, limits, features of the kernel, encryption, clock and CPUs; and say what "
	       "to\n"
	       "change. Changes nothing.\n\n"
	       "  --json  facts for programs\n\n"
	       "exit status: 0 all works, 1 something does not before it is changed, 2 wrong "
	       "usage\n"
	       "environment: DXH_SHM_DIR where blocks lie (default /dev/shm)\n"
	       "example:     dxh doctor\n");
	return TOOL_OK;
}

static const char *word(enum symptom symptom)
{
	static const char *const words[] = {"ok", "note", "warning", "broken"};

	return words[symptom];
}

static void show(const struct organ *organ, const struct examination *examination)
{
	static const enum tool_tone tones[] = {TOOL_GREEN, TOOL_PLAIN, TOOL_YELLOW, TOOL_RED};

	printf("%s%-8s%s %-12s %s\n", tool_tone(tones[examination->symptom]),
	       word(examination->symptom), tool_tone(TOOL_PLAIN), organ->name, examination->found);
	if (examination->advice[0] != '\0')
		printf("%22s%s\n", "", examination->advice);
}

static void
tell(struct json *json, const struct organ *organ, const struct examination *examination)
{
	json_object(json, NULL);
	json_text(json, "name", organ->name);
	json_text(json, "state", word(examination->symptom));
	json_text(json, "found", examination->found);
	json_text(json, "advice", examination->advice);
	json_end_object(json);
}

static int examine_all(bool as_json)
{
	struct json json = {.out = stdout};
	unsigned count[SYMPTOM_BROKEN + 1] = {0};

	if (as_json)
		json_array(&json, NULL);
	for (size_t i = 0; i < organ_count; i++) {
		struct examination examination = {.symptom = SYMPTOM_FINE};

		organs[i].examine(&examination);
		count[examination.symptom]++;
		if (as_json)
			tell(&json, &organs[i], &examination);
		else
			show(&organs[i], &examination);
	}
	if (as_json) {
		json_end_array(&json);
		json_finish(&json);
	} else {
		printf("%u fine, %u notes, %u warnings, %u broken\n", count[SYMPTOM_FINE],
		       count[SYMPTOM_NOTE], count[SYMPTOM_WARN], count[SYMPTOM_BROKEN]);
	}
	return count[SYMPTOM_BROKEN] > 0 ? TOOL_FAILED : TOOL_OK;
}

int tool_doctor(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {NULL, 0, NULL, 0}};
	bool as_json = false;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1)
		switch (option) {
		case 'j':
			as_json = true;
			break;
		case 'h':
			return help();
		default:
			return tool_usage(name, "that cannot be understood");
		}
	if (optind < argc)
		return tool_usage(name, "what is \"%s\"?", tool_shown(argv[optind]).s);
	return examine_all(as_json);
}
