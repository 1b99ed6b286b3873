/* SPDX-License-Identifier: MIT */
/* `dxh broker`: a broker in the foreground, and the folder its socket lies in. */
#include "broker_options.h"
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
	printf("usage: dxh broker [--config FILE] [--endpoint ENDPOINT] [--insecure]\n"
	       "                  [--key FILE (--allow FILE | --allow-any) [--rights FILE]]\n"
	       "                  [--clients N] [--channels N] [--consumers N]\n"
	       "                  [--client-channels N] [--client-consumers N]\n"
	       "                  [--beat-ms N] [--beats-missed N] [--beats-kept N]\n\n"
	       "Run a broker in the foreground until SIGINT, SIGTERM or SIGHUP. It tells who asks\n"
	       "where a channel is produced; data never passes through it, and producers\n"
	       "register again by themselves when it was away.\n\n"
	       "  --config FILE        options as lines \"option = value\", without the dashes;\n"
	       "                       what the command line says counts more\n"
	       "  --endpoint ENDPOINT  where to listen: ipc:///path, ipc://@abstract or\n"
	       "                       tcp://host:port; default: $DXH_BROKER, else\n"
	       "                       ipc:///tmp/dxh-UID/broker (here: %s)\n"
	       "  --insecure           allow tcp beyond this machine, unencrypted\n"
	       "  --key FILE           encrypt, with the secret key in FILE (see dxh keygen)\n"
	       "  --allow FILE         let in the public keys in FILE, one a line\n"
	       "  --allow-any          let in everybody who knows the public key\n"
	       "  --rights FILE        who may produce, consume and administer what, by key\n"
	       "  --clients N          programs connected at a time, 1 to 16384; default 512\n"
	       "  --channels N         channels known at a time, 1 to 1000000; default 10000\n"
	       "  --consumers N        the same of consumers; default 20000\n"
	       "  --client-channels N, --client-consumers N\n"
	       "                       of one client; default: an eighth of all\n"
	       "  --beat-ms N          interval of beats, 1 to 3600000; default 500\n"
	       "  --beats-missed N     so many, and it counts as dead, 1 to 1000; default 10\n"
	       "  --beats-kept N       so many more, and it is forgotten; default 10\n\n"
	       "A service manager that set NOTIFY_SOCKET is told when it listens, and when it\n"
	       "ends (systemd: Type=notify).\n\n"
	       "exit status: 0 ended by a signal, 1 it could not serve, 2 wrong usage\n"
	       "example:     dxh broker --endpoint tcp://127.0.0.1:5599\n",
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

static dxh_status
serve(const char *endpoint, const dxh_broker_config *config, const sigset_t *until, bool quiet)
{
	dxh_hub *hub = NULL;
	dxh_broker *broker = NULL;
	dxh_status status;
	int caught;

	status = dxh_hub_open(&(dxh_hub_config){.name = "dxh broker"}, &hub);
	if (status != DXH_OK)
		return status;
	status = dxh_broker_start(hub, endpoint, config, &broker);
	if (status != DXH_OK)
		goto close_hub;
	if (!quiet) {
		printf("dxh broker: listening on %s\n", dxh_broker_endpoint(broker));
		fflush(stdout);
		tool_notify("READY=1");
	}
	while (sigwait(until, &caught) != 0)
		;
	if (!quiet)
		tool_notify("STOPPING=1");
	status = dxh_broker_stop(&broker);
close_hub:
	dxh_hub_close(&hub);
	return status;
}

int tool_broker_serve(const char *endpoint, const sigset_t *until)
{
	return serve(endpoint, NULL, until, true) == DXH_OK ? TOOL_OK : TOOL_FAILED;
}

static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
                                             {"endpoint", required_argument, NULL, 'o'},
                                             {"insecure", no_argument, NULL, 'o'},
                                             {"key", required_argument, NULL, 'o'},
                                             {"allow", required_argument, NULL, 'o'},
                                             {"allow-any", no_argument, NULL, 'o'},
                                             {"rights", required_argument, NULL, 'o'},
                                             {"clients", required_argument, NULL, 'o'},
                                             {"channels", required_argument, NULL, 'o'},
                                             {"consumers", required_argument, NULL, 'o'},
                                             {"client-channels", required_argument, NULL, 'o'},
                                             {"client-consumers", required_argument, NULL, 'o'},
                                             {"beat-ms", required_argument, NULL, 'o'},
                                             {"beats-missed", required_argument, NULL, 'o'},
                                             {"beats-kept", required_argument, NULL, 'o'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

/* The file first, wherever it stands, so that the command line counts more. */
static int read_config(int argc, char **argv, struct broker_options *options)
{
	int option, code = TOOL_OK;

	opterr = 0;
	while (code == TOOL_OK && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		if (option == 'c')
			code = broker_options_read(options, optarg);
	opterr = 1;
	optind = 1;
	return code;
}

static int read_command_line(int argc, char **argv, struct broker_options *options, bool *helped)
{
	char where[64];
	int option, index, code = TOOL_OK;

	while (code == TOOL_OK &&
	       (option = getopt_long(argc, argv, "h", long_options, &index)) != -1) {
		switch (option) {
		case 'c':
			break;
		case 'o':
			snprintf(where, sizeof where, "--%s", long_options[index].name);
			code = broker_option_set(options, where, long_options[index].name, optarg);
			break;
		case 'h':
			*helped = true;
			return help();
		default:
			return tool_usage(name, "that cannot be understood");
		}
	}
	if (code == TOOL_OK && optind < argc)
		return tool_usage(name, "what is \"%s\"?", argv[optind]);
	return code;
}

int tool_broker(int argc, char **argv)
{
	struct broker_options options = {.endpoint = ""};
	bool helped = false;
	dxh_status status;
	sigset_t set;
	int code;

	if (!tool_broker_endpoint(options.endpoint, sizeof options.endpoint))
		return tool_usage(name, "DXH_BROKER is longer than %zu characters",
		                  sizeof options.endpoint - 1);
	code = read_config(argc, argv, &options);
	if (code == TOOL_OK)
		code = read_command_line(argc, argv, &options, &helped);
	if (code != TOOL_OK || helped)
		return code;
	if (!tool_broker_folder(name, options.endpoint, true))
		return TOOL_FAILED;
	/* Before the hub starts its thread, which inherits the mask. */
	tool_end_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	status = serve(options.endpoint, &options.config, &set, false);
	if (status == DXH_OK)
		return TOOL_OK;
	tool_fail(name, "cannot serve on %s: %s", options.endpoint, dxh_last_error());
	if (status == DXH_EINSECURE)
		fprintf(stderr, "next: --key FILE with --allow FILE or --allow-any encrypts (`dxh "
		                "keygen` makes keys), --insecure does without\n");
	return TOOL_FAILED;
}
