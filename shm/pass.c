/* SPDX-License-Identifier: MIT */
/* Handing the descriptors of a nameless block to another process: one message on a unix
 * socket, after a look at who is at the other end.
 */
#include "shm/consumer.h"
#include "shm/memory.h"
#include "shm/producer.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* docs/block-format.md has it too. */
static const uint32_t PASS_MAGIC = 0x4d485844; /* "DXHM" */
enum { PASS_VERSION = 1 };

struct pass_message {
	uint32_t magic;
	uint16_t version;
	uint16_t fd_count;
};
static_assert(sizeof(struct pass_message) == 8, "format 1");

/* The descriptors ride on the bytes. */
union ancillary {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(DXH_BLOCK_FDS * sizeof(int))];
};

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

/* The same memory behind those that are there; -1: nothing. */
static dxh_status add(int fd, int flags, int *fds, size_t *count)
{
	dxh_status status = DXH_OK;

	if (fd != -1)
		status = dxi_memory_reopen(fd, flags, &fds[*count]);
	if (fd != -1 && status == DXH_OK)
		++*count;
	return status;
}

dxh_status dxh_producer_fds(dxh_producer *producer, int fds[DXH_BLOCK_FDS], size_t *count)
{
	dxh_status status = dxi_producer_check(producer);

	if (status != DXH_OK)
		return status;
	if (!fds || !count)
		return dxi_fail(DXH_EINVAL, "%s is NULL", fds ? "count" : "fds");
	if (!producer->block.paths.is_memory)
		return dxi_fail(DXH_ESTATE,
		                "\"%s\" has a name, by which consumers open it: only blocks made "
		                "with memfd are passed",
		                producer->block.paths.name);
	*count = 0;
	status = add(producer->block.fd, O_RDONLY, fds, count);
	if (status == DXH_OK)
		status = add(producer->hold.fd, O_RDWR, fds, count);
	if (status == DXH_OK)
		status = add(producer->block.zones_fd, O_RDWR, fds, count);
	if (status != DXH_OK) {
		close_all(fds, *count);
		*count = 0;
	}
	return status;
}

/* ---- sockets ---- */

static dxh_status check_peer(int socket, uint32_t uid_plus1, const char *field)
{
	struct ucred peer;
	socklen_t bytes = sizeof peer;
	int domain;
	socklen_t domain_bytes = sizeof domain;

	if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &domain_bytes) == -1 ||
	    domain != AF_UNIX)
		return dxi_fail(DXH_EINVAL,
		                "descriptor %d is no unix socket: only these pass descriptors",
		                socket);
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == -1)
		return dxi_fail_errno(errno, "asking who is at the other end of the socket");
	if (peer.uid != geteuid() && peer.uid != 0 && (uid_plus1 == 0 || peer.uid != uid_plus1 - 1))
		return dxi_fail(DXH_EACCESS,
		                "at the other end of the socket is user %u, who is neither you nor "
		                "root nor the one allowed (%s)",
		                (unsigned)peer.uid, field);
	return DXH_OK;
}

static dxh_status wait_for(int socket, short events, int64_t deadline_ns)
{
	struct pollfd one = {.fd = socket, .events = events};
	int64_t left_ms;
	int ready;

	/* Bounded by the deadline; again after a signal or a rounded millisecond. */
	for (;;) {
		left_ms = (deadline_ns - dxh_now_ns() + DXI_NS_PER_MS - 1) / DXI_NS_PER_MS;
		left_ms = left_ms < 0 ? 0 : left_ms > INT32_MAX ? INT32_MAX : left_ms;
		ready = poll(&one, 1, deadline_ns == DXH_FOREVER ? -1 : (int)left_ms);
		if (ready == 1)
			return DXH_OK;
		if (ready == -1 && errno != EINTR)
			return dxi_fail_errno(errno, "waiting for the socket");
		if (dxh_now_ns() >= deadline_ns)
			return dxi_fail(DXH_EWAIT, "the socket is not ready");
	}
}

static dxh_status fail_for_socket(int error)
{
	if (error == EPIPE || error == ECONNRESET || error == ENOTCONN)
		return dxi_fail(DXH_ECLOSED, "the other end of the socket is closed");
	if (error == ETOOMANYREFS)
		return dxi_fail(DXH_ELIMIT, "as many descriptors as RLIMIT_NOFILE allows are on "
		                            "their way: have the other end take them first");
	return dxi_fail_errno(error, "passing a block");
}

static dxh_status send_all(int socket, const int *fds, size_t count, int64_t deadline_ns)
{
	struct pass_message message = {PASS_MAGIC, PASS_VERSION, (uint16_t)count};
	struct iovec bytes = {&message, sizeof message};
	union ancillary ancillary = {.bytes = {0}};
	struct msghdr header = {.msg_iov = &bytes,
	                        .msg_iovlen = 1,
	                        .msg_control = ancillary.bytes,
	                        .msg_controllen = CMSG_SPACE(count * sizeof *fds)};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	dxh_status status = DXH_OK;
	ssize_t sent = -1;

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(count * sizeof *fds);
	memcpy(CMSG_DATA(rights), fds, count * sizeof *fds);
	while (status == DXH_OK && sent == -1) {
		sent = sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent == -1 && (errno == EAGAIN || errno == EINTR))
			status = wait_for(socket, POLLOUT, deadline_ns);
		else if (sent == -1)
			status = fail_for_socket(errno);
	}
	if (status == DXH_OK && sent != sizeof message)
		return dxi_fail(DXH_ESYSTEM, "the socket took %zd of %zu bytes", sent,
		                sizeof message);
	return status;
}

dxh_status dxh_producer_send_fds(dxh_producer *producer, int socket, uint32_t peer_uid_plus1,
                                 int64_t deadline_ns)
{
	int fds[DXH_BLOCK_FDS];
	size_t count;
	dxh_status status = dxi_producer_check(producer);

	if (status == DXH_OK)
		status = check_peer(socket, peer_uid_plus1, "peer_uid_plus1");
	if (status == DXH_OK)
		status = dxh_producer_fds(producer, fds, &count);
	if (status != DXH_OK)
		return status;
	status = send_all(socket, fds, count, deadline_ns);
	close_all(fds, count);
	return status;
}

/* What came along, at most so many; the kernel closes what does not fit. */
static size_t take_fds(struct msghdr *header, int fds[DXH_BLOCK_FDS])
{
	size_t count = 0;

	for (struct cmsghdr *each = CMSG_FIRSTHDR(header); each; each = CMSG_NXTHDR(header, each)) {
		size_t bytes = each->cmsg_len - CMSG_LEN(0);

		if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof *fds <= bytes; at += sizeof *fds) {
			int fd;

			memcpy(&fd, CMSG_DATA(each) + at, sizeof fd);
			if (count < DXH_BLOCK_FDS)
				fds[count++] = fd;
			else
				close(fd);
		}
	}
	return count;
}

static dxh_status
check_message(const struct pass_message *message, ssize_t got, size_t count, int flags)
{
	if (got == 0)
		return dxi_fail(DXH_ECLOSED, "the other end of the socket is closed");
	if (got != sizeof *message || message->magic != PASS_MAGIC)
		return dxi_fail(DXH_EPROTO, "what came on the socket is no block");
	if (message->version != PASS_VERSION)
		return dxi_fail(DXH_EVERSION,
		                "a block is passed in version %u, this library reads %d",
		                message->version, PASS_VERSION);
	if ((flags & MSG_CTRUNC) && count < message->fd_count && message->fd_count <= DXH_BLOCK_FDS)
		return dxi_fail(DXH_ELIMIT,
		                "%u descriptors were passed, %zu could be taken: raise "
		                "RLIMIT_NOFILE",
		                message->fd_count, count);
	if ((flags & (MSG_CTRUNC | MSG_TRUNC)) || count == 0 || count != message->fd_count)
		return dxi_fail(DXH_EPROTO, "%zu descriptors came with a message that says %u",
		                count, message->fd_count);
	return DXH_OK;
}

static dxh_status
receive_all(int socket, int64_t deadline_ns, int fds[DXH_BLOCK_FDS], size_t *count)
{
	struct pass_message message = {0};
	struct iovec bytes = {&message, sizeof message};
	union ancillary ancillary;
	struct msghdr header = {.msg_iov = &bytes,
	                        .msg_iovlen = 1,
	                        .msg_control = ancillary.bytes,
	                        .msg_controllen = sizeof ancillary.bytes};
	dxh_status status = DXH_OK;
	ssize_t got = -1;

	while (got == -1) {
		got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (got == -1 && errno != EAGAIN && errno != EINTR)
			return fail_for_socket(errno);
		if (got == -1)
			status = wait_for(socket, POLLIN, deadline_ns);
		if (status != DXH_OK)
			return status;
	}
	*count = take_fds(&header, fds);
	status = check_message(&message, got, *count, header.msg_flags);
	if (status != DXH_OK)
		close_all(fds, *count);
	return status;
}

dxh_status dxh_consumer_receive_fds_sized(size_t config_bytes, int socket, int64_t deadline_ns,
                                          const dxh_consumer_config *config,
                                          dxh_consumer **consumer)
{
	dxh_consumer_config own;
	int fds[DXH_BLOCK_FDS];
	size_t count = 0;
	dxh_status status = dxi_config_read(&own, sizeof own, config, config_bytes);

	if (status == DXH_OK)
		status = check_peer(socket, own.owner_uid_plus1, "owner_uid_plus1");
	if (status == DXH_OK)
		status = receive_all(socket, deadline_ns, fds, &count);
	if (status != DXH_OK)
		return status;
	return dxh_consumer_open_fds(fds, count, &own, consumer);
}
