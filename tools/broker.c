/* SPDX-License-Identifier: MIT */
/* `dxh broker`: a broker in the foreground, and the folder its socket lies in. */
#include "tool.h"

#include <dxh.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char name[] = "broker";

static int help(void)
{
	char endpoint[256] = "";

	tool_broker_endpoint(endpoint, sizeof endpoint);
	printf("usage: dxh broker [--endpoint ENDPOINT] [--clients N] [--channels N] "
	       "[--insecure]\n"
	       "                  [--key FILE (--allow FILE | --allow-any)]\n\n"
	       "Run a broker in the foreground until SIGINT or SIGTERM. It tells who asks\n"
	       "where a channel is produced; data never passes through it, and producers\n"
	       "register again by themselves when it was away.\n\n"
	       "  --endpoint ENDPOINT  where to listen: ipc:///path, ipc://@abstract or\n"
	       "                       tcp://host:port; default: $DXH_BROKER, else\n"
	       "                       ipc:///tmp/dxh-UID/broker (here: %s)\n"
	       "  --clients N          programs connected at a time, 1 to 16384; default 512\n"
	       "  --channels N         channels known at a time, 1 to 1000000; default 10000\n"
	       "  --key FILE           encrypt, with the secret key in FILE (see dxh keygen)\n"
	       "  --allow FILE         let in the public keys in FILE, one a line\n"
	       "  --allow-any          let in everybody who knows the public key\n"
	       "  --insecure           allow tcp beyond this machine, unencrypted\n\n"
	       "example: dxh broker --endpoint tcp://127.0.0.1:5599\n",
	       endpoint);
	return TOOL_OK;
}

bool tool_broker_folder(const char *command, const char *endpoint, bool make)
{
	char folder[64];
	char of_default[80];
	struct stat found;

	snprintf(folder, sizeof folder, "/tmp/dxh-%u", (unsigned)getuid());
	snprintf(of_default, sizeof of_default, "ipc://%s/broker", folder);
	if (strcmp(endpoint, of_default) != 0)
		return true;
	if (make && mkdir(folder, 0700) == -1 && errno != EEXIST) {
		tool_fail(command, "cannot make %s: %s", folder, strerror(errno));
		return false;
	}
	if (lstat(folder, &found) == -1)
		return true; /* nobody is there */
	if (S_ISDIR(found.st_mode) && found.st_uid == getuid() && (found.st_mode & 077) == 0)
		return true;
	tool_fail(command,
	          "%s is not a folder that belongs to you alone (mode 0700): remove it, or choose "
	          "another place with DXH_BROKER",
	          folder);
	return false;
}

static int
serve(const char *endpoint, const dxh_broker_config *config, const sigset_t *until, bool quiet)
{
	dxh_hub *hub = NULL;
	dxh_broker *broker = NULL;
	int caught;
	int code = TOOL_FAILED;

	if (dxh_hub_open(&(dxh_hub_config){.name = "dxh broker"}, &hub) != DXH_OK)
		return TOOL_FAILED;
	if (dxh_broker_start(hub, endpoint, config, &broker) != DXH_OK)
		goto close_hub;
	if (!quiet) {
		printf("dxh broker: listening on %s\n", dxh_broker_endpoint(broker));
		fflush(stdout);
	}
	while (sigwait(until, &caught) != 0)
		;
	code = dxh_broker_stop(&broker) == DXH_OK ? TOOL_OK : TOOL_FAILED;
close_hub:
	dxh_hub_close(&hub);
	return code;
}

int tool_broker_serve(const char *endpoint, const sigset_t *until)
{
	return serve(endpoint, NULL, until, true);
}

int tool_broker(int argc, char **argv)
{
	static const struct option options[] = {{"endpoint", required_argument, NULL, 'e'},
	                                        {"clients", required_argument, NULL, 'c'},
	                                        {"channels", required_argument, NULL, 'n'},
	                                        {"key", required_argument, NULL, 'k'},
	                                        {"allow", required_argument, NULL, 'a'},
	                                        {"allow-any", no_argument, NULL, 'A'},
	                                        {"insecure", no_argument, NULL, 'i'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {NULL, 0, NULL, 0}};
	dxh_broker_config config = {0};
	uint64_t number;
	char endpoint[256];
	sigset_t set;
	int option;

	if (!tool_broker_endpoint(endpoint, sizeof endpoint))
		return tool_usage(name, "DXH_BROKER is longer than %zu characters",
		                  sizeof endpoint - 1);
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'e':
			if (strlen(optarg) >= sizeof endpoint)
				return tool_usage(name, "--endpoint takes at most %zu characters",
				                  sizeof endpoint - 1);
			strcpy(endpoint, optarg);
			break;
		case 'c':
			if (!tool_number(name, "--clients", optarg, 1, 16384, &number))
				return TOOL_USAGE;
			config.clients_max = (uint32_t)number;
			break;
		case 'n':
			if (!tool_number(name, "--channels", optarg, 1, 1000000, &number))
				return TOOL_USAGE;
			config.channels_max = (uint32_t)number;
			break;
		case 'k':
			config.key_file = optarg;
			break;
		case 'a':
			config.allow_file = optarg;
			break;
		case 'A':
			config.allow_any = 1;
			break;
		case 'i':
			config.insecure = 1;
			break;
		case 'h':
			return help();
		default:
			return tool_usage(name, "that cannot be understood");
		}
	}
	if (optind < argc)
		return tool_usage(name, "what is \"%s\"?", argv[optind]);
	if (!tool_broker_folder(name, endpoint, true))
		return TOOL_FAILED;
	/* Before the hub starts its thread, which inherits the mask. */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (serve(endpoint, &config, &set, false) != TOOL_OK)
		return tool_fail(name, "cannot serve on %s: %s", endpoint, dxh_last_error());
	return TOOL_OK;
}
