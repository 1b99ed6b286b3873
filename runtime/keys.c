/* SPDX-License-Identifier: MIT */
/* A secret is refused when somebody else could have read it: a warning would come
 * too late. */
#include "runtime/keys.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_BYTES = 512 };

static const char Z85[] =
	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()"
	"[]{}@%$#";

static bool is_text(const char *text, size_t bytes)
{
	if (bytes != DXI_KEY_TEXT_BYTES - 1)
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (!strchr(Z85, text[i]))
			return false;
	return true;
}

bool dxi_key_is_text(const char *text)
{
	return text && is_text(text, strnlen(text, DXI_KEY_TEXT_BYTES));
}

static dxh_status check_file(int fd, const char *path)
{
	struct stat found;

	if (fstat(fd, &found) == -1)
		return dxi_fail_errno(errno, "%s", path);
	if (!S_ISREG(found.st_mode))
		return dxi_fail(DXH_EACCESS, "%s is no regular file", path);
	if (found.st_uid != geteuid())
		return dxi_fail(DXH_EACCESS,
		                "the secret key %s belongs to user %u, not to you (%u)", path,
		                (unsigned)found.st_uid, (unsigned)geteuid());
	if (found.st_mode & 077)
		return dxi_fail(
			DXH_EACCESS,
			"the secret key %s has mode %04o, so others may know it: make a new "
			"one with `dxh keygen`, or chmod 600 if nobody read it",
			path, found.st_mode & 07777u);
	return DXH_OK;
}

static int open_retried(const char *path, int flags, mode_t mode)
{
	int fd;

	/* Ends when no signal comes in between; so do the loops below. */
	do
		fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
	while (fd == -1 && errno == EINTR);
	return fd;
}

static ssize_t read_retried(int fd, void *to, size_t bytes)
{
	ssize_t got;

	do
		got = read(fd, to, bytes);
	while (got == -1 && errno == EINTR);
	return got;
}

/* A line is so short that it is written whole or not at all. */
static bool write_retried(int fd, const char *line)
{
	ssize_t put;

	do
		put = write(fd, line, strlen(line));
	while (put == -1 && errno == EINTR);
	return put == (ssize_t)strlen(line);
}

dxh_status dxi_key_load(const char *path, char secret[DXI_KEY_TEXT_BYTES])
{
	char text[LINE_BYTES];
	dxh_status status;
	ssize_t bytes;
	int fd = open_retried(path, O_RDONLY | O_NONBLOCK, 0);

	if (fd == -1)
		return dxi_fail_errno(errno, "the secret key %s", path);
	status = check_file(fd, path);
	bytes = status == DXH_OK ? read_retried(fd, text, sizeof text) : 0;
	if (bytes == -1)
		status = dxi_fail_errno(errno, "reading the secret key %s", path);
	close(fd);
	if (status != DXH_OK)
		return status;
	while (bytes > 0 && (text[bytes - 1] == '\n' || text[bytes - 1] == '\r'))
		bytes--;
	if (!is_text(text, (size_t)bytes)) {
		status = dxi_fail(DXH_EINVAL,
		                  "%s holds no secret key: one line of 40 characters, as `dxh "
		                  "keygen` writes it",
		                  path);
	} else {
		memcpy(secret, text, DXI_KEY_TEXT_BYTES - 1);
		secret[DXI_KEY_TEXT_BYTES - 1] = '\0';
	}
	explicit_bzero(text, sizeof text);
	return status;
}

dxh_status dxi_key_store(const char *path, const char *secret)
{
	char line[DXI_KEY_TEXT_BYTES + 1];
	int fd = open_retried(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	int error = 0;

	if (fd == -1)
		return dxi_fail_errno(errno, "making the key file %s", path);
	snprintf(line, sizeof line, "%s\n", secret);
	/* Whatever the umask took away. */
	if (fchmod(fd, 0600) == -1 || !write_retried(fd, line) || fsync(fd) == -1)
		error = errno ? errno : EIO;
	explicit_bzero(line, sizeof line);
	close(fd);
	if (error == 0)
		return DXH_OK;
	unlink(path);
	return dxi_fail_errno(error, "writing the key file %s", path);
}

static dxh_status check_list(int fd, const char *what, const char *path)
{
	struct stat found;

	if (fstat(fd, &found) == -1)
		return dxi_fail_errno(errno, "%s %s", what, path);
	if (!S_ISREG(found.st_mode))
		return dxi_fail(DXH_EACCESS, "%s %s: no regular file", what, path);
	if (found.st_mode & S_IWOTH)
		return dxi_fail(DXH_EACCESS,
		                "%s %s: mode %04o, so anybody may add to it: look through it, then "
		                "chmod o-w",
		                what, path, found.st_mode & 07777u);
	return DXH_OK;
}

dxh_status dxi_list_open(const char *what, const char *path, FILE **list)
{
	/* Not to wait for the other end of a pipe that somebody put there. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	dxh_status status;

	if (fd == -1)
		return dxi_fail_errno(errno, "%s %s", what, path);
	status = check_list(fd, what, path);
	if (status == DXH_OK) {
		*list = fdopen(fd, "r");
		if (*list)
			return DXH_OK;
		status = dxi_fail(DXH_ENOMEM, "no memory to read %s", path);
	}
	close(fd);
	return status;
}

dxh_status dxi_key_is_allowed(const char *path, const char *public_key)
{
	char line[LINE_BYTES];
	bool found = false;
	FILE *file;
	dxh_status status = dxi_list_open("the list of clients", path, &file);

	if (status != DXH_OK)
		return status;
	/* Bounded by the file. A longer line is cut; its rest is no key. */
	while (!found && fgets(line, sizeof line, file))
		found = strcspn(line, " \t\r\n") == DXI_KEY_TEXT_BYTES - 1 &&
		        memcmp(line, public_key, DXI_KEY_TEXT_BYTES - 1) == 0;
	fclose(file);
	return found ? DXH_OK
	             : dxi_fail(DXH_EACCESS, "the client's key %s is not in %s", public_key, path);
}
