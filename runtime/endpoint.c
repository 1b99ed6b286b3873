/* SPDX-License-Identifier: MIT */
/* "ipc://path", "ipc://@abstract", "tcp://host:port", "inproc://name". */
#include "runtime/endpoint.h"

#include "base/status.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *after(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static dxh_status check_ipc(const char *endpoint, const char *path)
{
	size_t max = sizeof((struct sockaddr_un *)0)->sun_path - 1;

	if (*path == '\0' || strcmp(path, "@") == 0 || strcmp(path, "*") == 0)
		return dxi_fail(DXH_EINVAL, "'%s' names no path: write ipc:///path or ipc://@name",
		                endpoint);
	if (strlen(path) > max)
		return dxi_fail(DXH_EINVAL, "'%s': an ipc path has at most %zu bytes, this one %zu",
		                endpoint, max, strlen(path));
	return DXH_OK;
}

static bool is_port(const char *port, bool may_be_any)
{
	char *end;
	unsigned long value;

	if (may_be_any && (strcmp(port, "*") == 0 || strcmp(port, "0") == 0))
		return true;
	if (!isdigit((unsigned char)*port))
		return false;
	value = strtoul(port, &end, 10);
	return *end == '\0' && value >= 1 && value <= 65535;
}

static dxh_status check_tcp(const char *endpoint, const char *address, bool bind)
{
	const char *colon = strrchr(address, ':');

	if (!colon || colon == address)
		return dxi_fail(DXH_EINVAL, "'%s' lacks host or port: write tcp://host:port",
		                endpoint);
	if (!is_port(colon + 1, bind))
		return dxi_fail(DXH_EINVAL, "'%s': the port is a number 1..65535%s", endpoint,
		                bind ? ", or * for any free one" : "");
	if (memchr(address, ':', (size_t)(colon - address)) && *address != '[')
		return dxi_fail(DXH_EINVAL, "'%s': write an IPv6 address in brackets, [::1]",
		                endpoint);
	if (!bind && *address == '*')
		return dxi_fail(DXH_EINVAL, "'%s': * is for services; name the host to connect to",
		                endpoint);
	return DXH_OK;
}

static dxh_status check_inproc(const char *endpoint, const char *name)
{
	if (*name == '\0' || strcmp(name, "*") == 0)
		return dxi_fail(DXH_EINVAL, "'%s' names no service: write inproc://name", endpoint);
	return DXH_OK;
}

bool dxi_endpoint_is_inproc(const char *endpoint)
{
	return after(endpoint, "inproc://") != NULL;
}

static dxh_status check(const char *endpoint, bool bind)
{
	const char *rest;

	if (!endpoint)
		return dxi_fail(DXH_EINVAL, "the endpoint is NULL");
	if (strlen(endpoint) > DXI_ENDPOINT_BYTES_MAX)
		return dxi_fail(DXH_EINVAL, "the endpoint has %zu bytes, at most %d are allowed",
		                strlen(endpoint), DXI_ENDPOINT_BYTES_MAX);
	if ((rest = after(endpoint, "ipc://")))
		return check_ipc(endpoint, rest);
	if ((rest = after(endpoint, "tcp://")))
		return check_tcp(endpoint, rest, bind);
	if ((rest = after(endpoint, "inproc://")))
		return check_inproc(endpoint, rest);
	return dxi_fail(DXH_EINVAL,
	                "'%s' is no endpoint: write ipc:///path, ipc://@name, "
	                "tcp://host:port or inproc://name",
	                endpoint);
}

dxh_status dxi_endpoint_check_connect(const char *endpoint)
{
	return check(endpoint, false);
}

static bool is_loopback(const char *address)
{
	return after(address, "127.") || after(address, "localhost:") || after(address, "[::1]:") ||
	       after(address, "lo:");
}

dxh_status dxi_endpoint_check_bind(const char *endpoint, bool insecure)
{
	dxh_status status = check(endpoint, true);
	const char *address;

	if (status != DXH_OK)
		return status;
	address = after(endpoint, "tcp://");
	if (address && !insecure && !is_loopback(address))
		return dxi_fail(
			DXH_EINSECURE,
			"'%s' can be reached from other machines, and nothing would be "
			"encrypted: set key_file, or bind to 127.0.0.1, or set insecure in the "
			"config",
			endpoint);
	return DXH_OK;
}

/* The path in the file system, NULL when there is none. */
static const char *path_of(const char *endpoint)
{
	const char *path = after(endpoint, "ipc://");

	return path && *path != '@' ? path : NULL;
}

static bool is_listened_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	bool in_use;
	int fd;

	if (strlen(path) >= sizeof address.sun_path)
		return false;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return false;
	in_use = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
	close(fd);
	return in_use;
}

dxh_status dxi_endpoint_check_free(const char *endpoint)
{
	const char *path = path_of(endpoint);
	struct stat found;

	if (!path || lstat(path, &found) == -1)
		return DXH_OK;
	if (!S_ISSOCK(found.st_mode))
		return dxi_fail(DXH_EEXIST,
		                "'%s' is there and is no socket: choose another path, or remove it",
		                path);
	if (is_listened_to(path))
		return dxi_fail(DXH_EBUSY,
		                "a service listens on '%s' already: stop it, or choose "
		                "another endpoint",
		                endpoint);
	return DXH_OK;
}

/* ---- the file of a socket ---------------------------------------------------------- */

static dxi_endpoint_file file_at(const char *path)
{
	struct stat found;

	if (!path || lstat(path, &found) == -1 || !S_ISSOCK(found.st_mode))
		return (dxi_endpoint_file){.inode = 0};
	return (dxi_endpoint_file){.device = found.st_dev, .inode = found.st_ino};
}

static bool is_at(const char *path, dxi_endpoint_file file)
{
	dxi_endpoint_file now = file_at(path);

	return file.inode != 0 && now.inode == file.inode && now.device == file.device;
}

/* Where it is while it is hidden: beside its place, so that a rename is enough. */
typedef struct hidden {
	char path[DXI_ENDPOINT_BYTES_MAX + sizeof ".full"];
} hidden;

static hidden hidden_of(const char *endpoint)
{
	hidden at;

	snprintf(at.path, sizeof at.path, "%s.full", path_of(endpoint));
	return at;
}

dxi_endpoint_file dxi_endpoint_file_of(const char *endpoint)
{
	return file_at(path_of(endpoint));
}

void dxi_endpoint_file_remove(const char *endpoint, dxi_endpoint_file file)
{
	if (file.inode == 0)
		return;
	if (is_at(path_of(endpoint), file))
		unlink(path_of(endpoint));
	if (is_at(hidden_of(endpoint).path, file))
		unlink(hidden_of(endpoint).path);
}

bool dxi_endpoint_file_hide(const char *endpoint, dxi_endpoint_file file)
{
	return is_at(path_of(endpoint), file) &&
	       rename(path_of(endpoint), hidden_of(endpoint).path) == 0;
}

/* By a link, which replaces nothing. */
bool dxi_endpoint_file_show(const char *endpoint, dxi_endpoint_file file)
{
	hidden at = hidden_of(endpoint);

	return is_at(at.path, file) && link(at.path, path_of(endpoint)) == 0 &&
	       unlink(at.path) == 0;
}
