/* SPDX-License-Identifier: MIT */
/* Boost.Interprocess's message queue: a mutex and conditions in shared memory. */
#include "bench/peers/optional/boost_queue.h"

#include <boost/interprocess/ipc/message_queue.hpp>

#include <exception>

using boost::interprocess::message_queue;

const char *boost_queue_make(const char *name, size_t slots, size_t bytes, void **queue)
{
	try {
		*queue = new message_queue(boost::interprocess::create_only, name, slots, bytes);
		message_queue::remove(name);
		return nullptr;
	} catch (const std::exception &) {
		return "it could not be made";
	}
}

const char *boost_queue_send(void *queue, const void *payload, size_t bytes)
{
	try {
		static_cast<message_queue *>(queue)->send(payload, bytes, 0);
		return nullptr;
	} catch (const std::exception &) {
		return "send";
	}
}

const char *boost_queue_receive(void *queue, void *payload, size_t bytes)
{
	message_queue::size_type got = 0;
	unsigned priority = 0;

	try {
		static_cast<message_queue *>(queue)->receive(payload, bytes, got, priority);
		return got == bytes ? nullptr : "a message of another size";
	} catch (const std::exception &) {
		return "receive";
	}
}
