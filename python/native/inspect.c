/* SPDX-License-Identifier: MIT */
/* Looking at blocks, putting in order, collecting: reports of the library as dicts. */
#include "native.h"

#define MEMBER(of, name, kind)                                                                     \
	{                                                                                          \
#name, offsetof(of, name), kind, 0                                                 \
	}

/* ---- reports --------------------------------------------------------------------------------- */

#define FINDING(name, kind) MEMBER(dxh_finding, name, kind)
static const dxn_member finding_members[] = {
	FINDING(rule, 'i'), FINDING(severity, 'i'), FINDING(repair, 'i'),
	FINDING(file, 'p'), FINDING(offset, 'Q'),   FINDING(detail, 's'),
};

#define REPORT(name, kind) MEMBER(dxh_report, name, kind)
static const dxn_member report_members[] = {
	REPORT(readable, 'i'),   REPORT(errors, 'I'),         REPORT(warnings, 'I'),
	REPORT(notes, 'I'),      REPORT(items_verified, 'Q'), REPORT(items_unverified, 'Q'),
	REPORT(recoveries, 'Q'), REPORT(recovered_ns, 'q'),
};

/* Frees the report. */
static PyObject *report_as_dict(dxh_report *report)
{
	PyObject *made = DXN_DICT(report, report_members);

	if (!dxn_put(made, "block", dxn_block_info(&report->block)) ||
	    !dxn_put(made, "findings",
	             DXN_LIST(report->findings, report->finding_count, finding_members)))
		Py_CLEAR(made);
	dxh_report_free(&report);
	return made;
}

static bool
read_inspection(PyObject *const *arguments, const char **name, dxh_inspect_config *config)
{
	*name = NULL;
	return dxn_text_or_none(arguments[0], name) &&
	       dxn_text_or_none(arguments[1], &config->directory) &&
	       dxn_text_or_none(arguments[2], &config->file) &&
	       dxn_uid(arguments[3], &config->owner_uid_plus1);
}

/* inspect(0: diagnose, 1: validate, 2: check; name, directory, file, uid, key) */
PyObject *dxn_inspect(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
	dxh_inspect_config config = {0};
	dxh_report *report;
	const char *name;
	Py_buffer key;
	dxh_status status;
	long what;

	(void)module;
	if (!dxn_arguments("inspect", count, 6) || !read_inspection(arguments + 1, &name, &config))
		return NULL;
	what = PyLong_AsLong(arguments[0]);
	if (PyErr_Occurred() || !dxn_bytes(arguments[5], &key))
		return NULL;
	config.checksum_key = key.buf;
	if (!dxn_key_fits(&key)) {
		dxn_bytes_done(&key);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	status = what == 0   ? dxh_block_diagnose(name, &config, &report)
	         : what == 1 ? dxh_block_validate(name, &config, &report)
	                     : dxh_block_check(name, &config, &report);
	Py_END_ALLOW_THREADS
	dxn_bytes_done(&key);
	return status == DXH_OK ? report_as_dict(report) : dxn_raise(status);
}

/* recover(name, directory, apply, uid) */
PyObject *dxn_recover(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
	dxh_recover_config config = {0};
	dxh_report *report;
	const char *name;
	dxh_status status;

	(void)module;
	if (!dxn_arguments("recover", count, 4))
		return NULL;
	name = dxn_text(arguments[0]);
	config.apply = PyObject_IsTrue(arguments[2]);
	if (!name || config.apply == -1 || !dxn_text_or_none(arguments[1], &config.directory) ||
	    !dxn_uid(arguments[3], &config.owner_uid_plus1))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	status = dxh_block_recover(name, &config, &report);
	Py_END_ALLOW_THREADS
	return status == DXH_OK ? report_as_dict(report) : dxn_raise(status);
}

/* rules(): a list of (name, meaning, advice), by number. */
PyObject *dxn_rules(PyObject *module, PyObject *unused)
{
	PyObject *list = PyList_New(0), *row;
	static const dxh_rule rules[] = {
#define RULE(rule, name, severity, meaning, advice) rule,
		DXH_RULE_LIST(RULE)
#undef RULE
	};

	(void)module;
	(void)unused;
	for (size_t i = 0; list && i < sizeof rules / sizeof *rules; i++) {
		row = Py_BuildValue("(isss)", (int)rules[i], dxh_rule_name(rules[i]),
		                    dxh_rule_meaning(rules[i]), dxh_rule_advice(rules[i]));
		if (!row || PyList_Append(list, row) == -1)
			Py_CLEAR(list);
		Py_XDECREF(row);
	}
	return list;
}

/* ---- facts -------------------------------------------------------------------------------------- */

#define ZONE(name, kind) MEMBER(dxh_zone_info, name, kind)
static const dxn_member zone_members[] = {
	ZONE(name, 's'),  ZONE(schema, 's'), ZONE(bytes, 'Q'),  ZONE(offset, 'Q'),
	ZONE(align, 'I'), ZONE(latch, 'i'),  ZONE(shared, 'i'),
};

#define READER(name, kind)                                                                         \
	{                                                                                          \
#name, offsetof(dxh_reader_row, reader.name), kind, 0                              \
	}
static const dxn_member reader_members[] = {
	READER(row, 'I'),     READER(pid, 'I'),
	READER(uid, 'I'),     READER(next_ticket, 'Q'),
	READER(read, 'Q'),    READER(lost, 'Q'),
	READER(retries, 'Q'), READER(lag, 'Q'),
	READER(lag_ns, 'q'),  MEMBER(dxh_reader_row, state, 'i'),
};

#define FACT(name, kind) MEMBER(dxh_facts, name, kind)
static const dxn_member facts_members[] = {
	FACT(path, 's'),
	FACT(uid, 'I'),
	FACT(gid, 'I'),
	FACT(mode, 'I'),
	FACT(slot_schema, 's'),
	FACT(policy, 'i'),
	FACT(slots_physical, 'I'),
	FACT(oldest, 'Q'),
	FACT(oldest_ns, 'q'),
	FACT(newest_ns, 'q'),
	FACT(checksum, 'i'),
	FACT(checksum_manual, 'i'),
	FACT(checksum_keyed, 'i'),
	FACT(no_wait, 'i'),
	FACT(zones_writable, 'i'),
	FACT(no_timestamps, 'i'),
	FACT(readers_max, 'I'),
	FACT(producer_started_ns, 'q'),
	FACT(producer_boot_id, 's'),
	FACT(same_boot, 'i'),
	FACT(locked_bytes, 'Q'),
	FACT(huge_bytes, 'Q'),
	FACT(items, 'Q'),
	FACT(bytes, 'Q'),
	FACT(aborted, 'Q'),
	FACT(wakes, 'Q'),
	FACT(held, 'Q'),
	FACT(evicted, 'Q'),
	FACT(write_max_ns, 'Q'),
	FACT(recoveries, 'Q'),
	FACT(recovered_ns, 'q'),
	FACT(recovered_by, 'I'),
	FACT(readers_status, 'i'),
};

/* facts(name, directory, file, uid) */
PyObject *dxn_facts(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
	dxh_inspect_config config = {0};
	dxh_facts *facts;
	const char *name;
	PyObject *made;
	dxh_status status;

	(void)module;
	if (!dxn_arguments("facts", count, 4) || !read_inspection(arguments, &name, &config))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	status = dxh_block_facts(name, &config, &facts);
	Py_END_ALLOW_THREADS
	if (status != DXH_OK)
		return dxn_raise(status);
	made = DXN_DICT(facts, facts_members);
	if (!dxn_put(made, "block", dxn_block_info(&facts->block)) ||
	    !dxn_put(made, "schema",
	             PyBytes_FromStringAndSize(facts->schema,
	                                       (Py_ssize_t)facts->block.schema_bytes)) ||
	    !dxn_put(made, "zones",
	             DXN_LIST(facts->zones, facts->block.zone_count, zone_members)) ||
	    !dxn_put(made, "readers",
	             DXN_LIST(facts->readers, facts->reader_count, reader_members)))
		Py_CLEAR(made);
	dxh_facts_free(&facts);
	return made;
}

/* ---- size ----------------------------------------------------------------------------------------- */

#define SIZE(name, kind) MEMBER(dxh_block_sizes, name, kind)
static const dxn_member size_members[] = {
	SIZE(data_bytes, 'Q'),   SIZE(control_bytes, 'Q'),     SIZE(zones_bytes, 'Q'),
	SIZE(lock_bytes, 'Q'),   SIZE(total_bytes, 'Q'),       SIZE(schema_bytes, 'Q'),
	SIZE(slots_offset, 'Q'), SIZE(slot_stride_bytes, 'Q'), SIZE(slots_in_all, 'I'),
};

/* block_size(name, zones, slot, slot_count, readers_max, memfd, zones_writable) */
PyObject *dxn_block_size(PyObject *module, PyObject *arguments)
{
	dxh_block_config config = {0};
	dxn_arena arena = {NULL};
	dxh_block_sizes sizes;
	PyObject *zones, *slot, *made = NULL;
	const char *name;
	dxh_status status;

	(void)module;
	if (!PyArg_ParseTuple(arguments, "sOOO&O&pp:block_size", &name, &zones, &slot, dxn_u32,
	                      &config.slot_count, dxn_u32, &config.readers_max, &config.memfd,
	                      &config.zones_writable))
		return NULL;
	if (dxn_read_zones(&arena, zones, config.zones) &&
	    dxn_read_slot(&arena, slot, &config.slot)) {
		status = dxh_block_size(name, &config, &sizes);
		made = status == DXH_OK ? DXN_DICT(&sizes, size_members) : dxn_raise(status);
	}
	dxn_arena_free(&arena);
	return made;
}

/* ---- garbage -------------------------------------------------------------------------------------- */

#define ENTRY(name, kind) MEMBER(dxh_gc_entry, name, kind)
static const dxn_member entry_members[] = {
	ENTRY(name, 's'),  ENTRY(kind, 'i'),   ENTRY(verdict, 'i'),
	ENTRY(bytes, 'Q'), ENTRY(reason, 's'),
};

/* gc(directory, apply, keep_closed): a list of entries. */
PyObject *dxn_gc(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
	dxh_gc_config config = {0};
	dxh_gc_report *report;
	PyObject *made;
	dxh_status status;

	(void)module;
	if (!dxn_arguments("gc", count, 3) || !dxn_text_or_none(arguments[0], &config.directory))
		return NULL;
	config.apply = PyObject_IsTrue(arguments[1]);
	config.keep_closed = PyObject_IsTrue(arguments[2]);
	if (config.apply == -1 || config.keep_closed == -1)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	status = dxh_block_gc(&config, &report);
	Py_END_ALLOW_THREADS
	if (status != DXH_OK)
		return dxn_raise(status);
	made = DXN_LIST(report->entries, report->entry_count, entry_members);
	dxh_gc_report_free(&report);
	return made;
}
