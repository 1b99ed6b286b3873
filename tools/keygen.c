/* SPDX-License-Identifier: MIT */
/* `dxh keygen`: a key pair; the secret half in a file nobody else may read. */
#include "json.h"
#include "tool.h"

#include <dxh.h>

#include <getopt.h>
#include <stdio.h>

static const char name[] = "keygen";

static int help(void)
{
	printf("usage: dxh keygen [--json] FILE\n"
	       "       dxh keygen --public [--json] FILE\n\n"
	       "Make a key pair for encrypted connections: write the secret key to FILE, which\n"
	       "must not exist and gets mode 0600, and print the public key.\n\n"
	       "  --public  only print the public key that belongs to the secret one in FILE\n"
	       "  --json    print {\"public\": KEY, \"file\": FILE}\n\n"
	       "The public key of a service goes to its clients (server_key); the public keys of\n"
	       "clients go, a line each, into the file that the service lets in (allow_file).\n\n"
	       "exit status: 0 made or printed, 1 it could not be, 2 wrong usage\n"
	       "example:     dxh keygen camera.key\n");
	return TOOL_OK;
}

static void print(const char *public_key, const char *file, bool as_json)
{
	struct json json = {.out = stdout};

	if (!as_json) {
		printf("%s\n", public_key);
		return;
	}
	json_object(&json, NULL);
	json_text(&json, "public", public_key);
	json_text(&json, "file", file);
	json_end_object(&json);
	json_finish(&json);
}

int tool_keygen(int argc, char **argv)
{
	static const struct option options[] = {{"public", no_argument, NULL, 'p'},
	                                        {"json", no_argument, NULL, 'j'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {NULL, 0, NULL, 0}};
	char public_key[DXH_KEY_BYTES];
	bool show = false, as_json = false;
	dxh_status status;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			show = true;
			break;
		case 'j':
			as_json = true;
			break;
		case 'h':
			return help();
		default:
			return tool_usage(name, "that cannot be understood");
		}
	}
	if (optind + 1 != argc)
		return tool_usage(name, "name one file for the secret key");
	status = show ? dxh_key_public(argv[optind], public_key)
	              : dxh_key_make(argv[optind], public_key);
	if (status != DXH_OK)
		return tool_fail(name, "%s", dxh_last_error());
	print(public_key, argv[optind], as_json);
	return TOOL_OK;
}
