/* SPDX-License-Identifier: MIT */
/* All that a broker knows of one channel. */
#include "native.h"

#define ZONE(name, kind, bytes)                                                                    \
	{                                                                                          \
#name, offsetof(dxh_channel_zone, name), kind, bytes                               \
	}
static const dxn_member zone_members[] = {
	ZONE(name, 's', 0),
	ZONE(bytes, 'Q', 0),
	ZONE(hash, 'h', 32),
};

#define CONSUMER(name, kind)                                                                       \
	{                                                                                          \
#name, offsetof(dxh_channel_consumer, name), kind, 0                               \
	}
static const dxn_member consumer_members[] = {
	CONSUMER(name, 's'),
	CONSUMER(uid, 'Q'),
	CONSUMER(pid, 'q'),
	CONSUMER(start, 'Q'),
	CONSUMER(discipline, 'i'),
	CONSUMER(silent_ms, 'I'),
	{"block_uuid", offsetof(dxh_channel_consumer, block_uuid), 'h', 16},
	CONSUMER(next_ticket, 'Q'),
	CONSUMER(read, 'Q'),
	CONSUMER(lost, 'Q'),
	CONSUMER(corrupt, 'Q'),
	CONSUMER(lag, 'Q'),
};

#define FACT(name, kind)                                                                           \
	{                                                                                          \
#name, offsetof(dxh_channel_facts, name), kind, 0                                  \
	}
static const dxn_member facts_members[] = {
	FACT(producer_start, 'Q'),
	{"boot_id", offsetof(dxh_channel_facts, boot_id), 'h', 16},
	FACT(progress, 'Q'),
	FACT(silent_ms, 'I'),
};

/* Frees the facts. */
static PyObject *facts_as_dict(dxh_channel_facts *facts)
{
	PyObject *made = DXN_DICT(facts, facts_members);

	if (!dxn_put(made, "channel", dxn_channel_info(&facts->channel)) ||
	    !dxn_put(made, "schema",
	             PyBytes_FromStringAndSize(facts->schema, (Py_ssize_t)facts->schema_bytes)) ||
	    !dxn_put(made, "zones",
	             DXN_LIST(facts->zones, facts->channel.zone_count, zone_members)) ||
	    !dxn_put(made, "consumers",
	             DXN_LIST(facts->consumers, facts->consumer_count, consumer_members)))
		Py_CLEAR(made);
	dxh_channel_facts_free(&facts);
	return made;
}

PyObject *dxn_describe(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
	dxh_channel_facts *facts;
	int64_t deadline_ns;
	const char *name;
	dxh_status status;
	dxh_peer *peer;

	(void)module;
	if (!dxn_arguments("describe", count, 3))
		return NULL;
	peer = dxn_broker_peer(arguments[0]);
	name = peer ? dxn_text(arguments[1]) : NULL;
	if (!name || !dxn_deadline(arguments[2], &deadline_ns))
		return NULL;
	dxn_peer_enter((dxn_peer *)arguments[0]);
	Py_BEGIN_ALLOW_THREADS
	status = dxh_describe(peer, name, deadline_ns, &facts);
	Py_END_ALLOW_THREADS
	dxn_peer_leave((dxn_peer *)arguments[0]);
	return status == DXH_OK ? facts_as_dict(facts) : dxn_raise(status);
}
