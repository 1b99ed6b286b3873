/* SPDX-License-Identifier: MIT */
/* Thousands of broken blocks of every kind, the same ones in every run: valid images and
 * files of rows with a few numbers at their limits, bits flipped and pieces moved, mostly
 * with the hashes made right again. Each is attached to, read, peeked at, looked at and
 * taken over: refused with an offset or a rule, or used without harm.
 *
 * A page that nobody may touch lies behind every mapping (the linker puts our mmap() in
 * front of the system's), and the last item of a block ends where its last page does, so
 * what reads too far dies. Shown by a control, which does.
 */
#include "tests/shm_inspect.h"

#include "shm/geometry.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

enum { PAGE = 4096, IMAGES = 2000 };

/* ---- the page behind a mapping ---- */

void *__real_mmap(void *, size_t, int, int, int, off_t);
void *__wrap_mmap(void *, size_t, int, int, int, off_t);
int __real_munmap(void *, size_t);
int __wrap_munmap(void *, size_t);

static unsigned guarded;

static size_t whole_pages(size_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	size_t span = whole_pages(bytes);
	unsigned char *base;

	if (at || fd == -1 || bytes == 0 || span < bytes || span > (size_t)1 << 40)
		return __real_mmap(at, bytes, protection, flags, fd, offset);
	base = __real_mmap(NULL, span + PAGE, PROT_NONE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return MAP_FAILED;
	guarded++;
	if (__real_mmap(base, bytes, protection, flags | MAP_FIXED, fd, offset) != MAP_FAILED)
		return base;
	__real_munmap(base, span + PAGE);
	return MAP_FAILED;
}

/* What was mapped without a page of ours has none of somebody else's either: those of
 * large blocks are not made here. */
int __wrap_munmap(void *at, size_t bytes)
{
	return __real_munmap(at, whole_pages(bytes) + PAGE);
}

/* ---- kinds of blocks ---- */

static char name[32];
static image good, rows; /* the data file and, if there is one, the control file */
static dxh_block_config config;
static uint64_t random_state;

static uint64_t any(uint64_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(2685821657736338717) % below;
}

static dxh_block_config kind_of(const char *kind)
{
	dxh_block_config it = usual_config();

	if (strcmp(kind, "zones") == 0) {
		it.slot = (dxh_slot_spec){0};
		it.slot_count = 0;
	} else if (strcmp(kind, "single") == 0) {
		it = (dxh_block_config){.slot = DXH_SLOT_BYTES(128), .slot_count = 1};
		it.checksum = DXH_CHECKSUM_CRC32C;
		it.checksum_manual = 1;
	} else if (strcmp(kind, "double") == 0) {
		it.slot_count = 2;
		it.checksum = DXH_CHECKSUM_BLAKE2B;
	} else if (strcmp(kind, "ring") == 0) {
		it = (dxh_block_config){.slot = DXH_SLOT_BYTES(128), .slot_count = 8};
		it.checksum = DXH_CHECKSUM_XXH3;
	} else if (strcmp(kind, "rows") == 0) {
		it = full_config();
	} else if (strcmp(kind, "shared") == 0) {
		it.zones_writable = 1;
	}
	return it;
}

static bool has_ring(void)
{
	return config.slot_count > 0;
}

static void fill_block(dxh_producer *producer)
{
	void *latch;

	if (has_ring())
		publish_items(producer, 0, 11);
	if (!config.zones[0].name)
		return;
	must(dxh_latch_begin(producer, "position", sizeof(struct position), &latch));
	must(dxh_latch_commit(producer, "position"));
}

/* Slots grow until the block ends with a page, where that can be. */
static void make(const char *kind)
{
	dxh_producer *producer;
	dxh_block_info facts;

	config = kind_of(kind);
	for (int i = 0; i < 64; i++) {
		producer = open_producer(name, config);
		must(dxh_producer_info(producer, &facts));
		if (facts.block_bytes % PAGE == 0 || !has_ring() || config.slot.schema || i == 63)
			break;
		must(dxh_producer_close(&producer));
		must(dxh_block_unlink(NULL, name));
		config.slot.bytes += 64;
	}
	fill_block(producer);
	must(dxh_producer_close(&producer));
	good = load_image(name);
	if (config.readers_max > 0)
		rows = load_file(file_of(name, ".ctl"));
}

static void setup(void)
{
	strcpy(name, new_name());
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
}

static void teardown(void)
{
	free(good.bytes);
	free(rows.bytes);
	must(dxh_block_unlink(NULL, name));
}

TestSuite(corrupt, .init = setup, .fini = teardown, .timeout = 240);

/* ---- breaking ---- */

static void seal(image it)
{
	struct dxi_layout_header *header = header_of(it);
	struct dxi_layout_zone zones[DXH_ZONES_MAX] = {0};

	if (header->zone_count > DXH_ZONES_MAX || header->schema_bytes > it.length ||
	    header->schema_offset > it.length - header->schema_bytes ||
	    header->zones_offset > it.length ||
	    it.length - header->zones_offset < header->zone_count * sizeof *zones)
		return;
	memcpy(zones, it.bytes + header->zones_offset, header->zone_count * sizeof *zones);
	dxi_geometry_seal(header, zones, it.bytes + header->schema_offset);
}

/* A number that is worth a try where `before` stood. */
static uint64_t limit_of(uint64_t before)
{
	const uint64_t limits[] = {0,
	                           1,
	                           before - 1,
	                           before + 1,
	                           before * 2,
	                           UINT64_MAX,
	                           UINT64_MAX - before,
	                           UINT64_MAX - before + 1,
	                           UINT64_MAX - 63,
	                           INT64_MAX,
	                           (uint64_t)INT64_MAX + 1,
	                           UINT32_MAX,
	                           (uint64_t)UINT32_MAX + 1,
	                           good.length,
	                           good.length - 64,
	                           good.length + 1,
	                           2 * good.length,
	                           UINT64_MAX - good.length + 1,
	                           DXI_TICKET_MAX,
	                           2 * DXI_TICKET_MAX + 2};

	return limits[any(sizeof limits / sizeof *limits)];
}

/* Where numbers are: header, zone table, schema, slot headers, or anywhere. */
static size_t place(image it)
{
	const struct dxi_layout_header *header = header_of(good);

	switch (any(6)) {
	case 0:
	case 1:
		return 8 * any(DXI_LAYOUT_HEADER_BYTES / 8);
	case 2:
		if (header->zone_count > 0)
			return header->zones_offset +
			       8 * any(header->zone_count * DXI_LAYOUT_ZONE_BYTES / 8);
		break;
	case 3:
		return header->schema_offset + any(header->schema_bytes);
	case 4:
		if (has_ring())
			return (size_t)((unsigned char *)slot_of(good, any(header->slot_physical)) -
			                good.bytes) +
			       8 * any(DXI_LAYOUT_SLOT_HEADER_BYTES / 8);
		break;
	}
	return any(it.length);
}

static void break_at(image it, size_t at)
{
	size_t width = (size_t)1 << any(4);
	uint64_t value = 0;

	if (at + 8 > it.length || any(4) == 0) {
		it.bytes[at] ^= (unsigned char)(1 << any(8));
		return;
	}
	memcpy(&value, it.bytes + at, width);
	value = limit_of(value);
	memcpy(it.bytes + at, &value, width);
}

static void break_some(image it)
{
	memcpy(it.bytes, good.bytes, good.length);
	for (uint64_t i = any(4) + 1; i > 0; i--)
		break_at(it, place(it));
	if (any(10) == 0) { /* a piece from elsewhere */
		size_t bytes = any(200), from = any(it.length - 200), to = any(it.length - 200);

		memmove(it.bytes + to, it.bytes + from, bytes);
	}
	if (any(8) != 0)
		header_of(it)->magic = DXI_LAYOUT_MAGIC;
	if (any(4) != 0)
		seal(it);
}

static void break_rows(void)
{
	image it = {malloc(rows.length), rows.length};
	int fd = open(file_of(name, ".ctl"), O_RDWR | O_CREAT | O_TRUNC, 0600);

	memcpy(it.bytes, rows.bytes, rows.length);
	for (uint64_t i = any(3) + 1; i > 0; i--)
		break_at(it, any(it.length));
	if (any(16) == 0)
		it.length = any(it.length);
	cr_assert(fd != -1 && write(fd, it.bytes, it.length) == (ssize_t)it.length);
	close(fd);
	free(it.bytes);
}

/* ---- using ---- */

static unsigned tried, refused, attached, findings;

static void expect_reason(dxh_status status)
{
	cr_assert(status == DXH_ECORRUPT || status == DXH_EVERSION || status == DXH_EUNSUPPORTED,
	          "%s", dxh_last_error());
	cr_assert(strstr(dxh_last_error(), "offset ") || strstr(dxh_last_error(), "version") ||
	                  strstr(dxh_last_error(), "features") || strstr(dxh_last_error(), "file"),
	          "no place and no rule: %s", dxh_last_error());
}

static void expect_read(dxh_status status)
{
	cr_assert(status == DXH_OK || status == DXH_ELAPPED || status == DXH_EWAIT ||
	                  status == DXH_ECLOSED || status == DXH_EDEAD || status == DXH_ECORRUPT ||
	                  status == DXH_ESIZE || status == DXH_ESTATE || status == DXH_EEVICTED ||
	                  status == DXH_EUNLINKED,
	          "%s", dxh_last_error());
}

static void read_items(dxh_consumer *consumer)
{
	static unsigned char copies[4 * 4096];
	unsigned char seen = 0;
	dxh_item items[4];
	dxh_peek peek;
	size_t count;

	for (int i = 0; i < 6; i++) {
		dxh_status status = dxh_peek_begin(consumer, DXH_NOW, &peek);

		expect_read(status);
		for (size_t at = 0; status == DXH_OK && at < peek.item.bytes; at++)
			seen ^= ((const volatile unsigned char *)peek.data)[at];
		if (status == DXH_OK)
			expect_read(dxh_peek_end(&peek));
		expect_read(dxh_read_next(consumer, copies, 4096, DXH_NOW, &items[0]));
		expect_read(dxh_read_n(consumer, copies, 4096, 4, DXH_NOW, items, &count));
	}
	expect_read(dxh_consumer_seek(consumer, DXH_START_OLDEST, 0));
	copies[0] = seen;
}

static void touch_zones(dxh_consumer *consumer)
{
	static unsigned char copy[256];
	const struct telemetry *zone;
	const void *raw;

	if (dxh_zone_view(consumer, telemetry, &zone) == DXH_OK)
		cr_assert(zone->frames + 1 != 0 || zone->gain == 0);
	if (dxh_consumer_zone(consumer, "notes", NULL, 100, &raw) == DXH_OK)
		memcpy(copy, raw, 100);
	(void)!dxh_latch_read(consumer, "position", copy, sizeof(struct position));
}

static void use_as_reader(const dxh_consumer_config *how)
{
	dxh_reader_info readers[4];
	dxh_consumer *consumer;
	dxh_consumer_stats stats;
	dxh_block_info facts;
	size_t bytes, count;
	dxh_status status = dxh_consumer_open(how->file ? NULL : name, how, &consumer);

	if (status == DXH_ESTATE || status == DXH_ELIMIT)
		return; /* lossless, where there are no rows */
	if (status != DXH_OK) {
		refused++;
		expect_reason(status);
		return;
	}
	attached++;
	must(dxh_consumer_info(consumer, &facts));
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_assert(dxh_consumer_schema(consumer, &bytes));
	touch_zones(consumer);
	if (facts.slot_count > 0)
		read_items(consumer);
	(void)!dxh_block_readers(NULL, name, readers, 4, &count);
	must(dxh_consumer_close(&consumer));
}

static void look(dxh_status status, dxh_report **report)
{
	must(status);
	findings += (unsigned)(*report)->finding_count;
	for (size_t i = 0; i < (*report)->finding_count; i++)
		cr_assert((*report)->findings[i].detail[0] && (*report)->findings[i].rule);
	dxh_report_free(report);
}

static void look_in_all_ways(void)
{
	dxh_report *report;
	dxh_inspect_config exact = {.file = file_of(name, ".dxh")};

	look(dxh_block_diagnose(name, NULL, &report), &report);
	look(dxh_block_check(NULL, &exact, &report), &report);
	look(dxh_block_recover(name, NULL, &report), &report);
}

static void use_as_writer(void)
{
	dxh_producer *producer;
	unsigned char payload[64] = {0};
	dxh_status status = dxh_producer_open(name, &config, &producer);

	if (status == DXH_ESCHEMA || status == DXH_ESIZE)
		return;
	if (status != DXH_OK) {
		expect_reason(status);
		return;
	}
	for (int i = 0; i < 12 && has_ring(); i++)
		must(dxh_publish(producer, payload, sizeof payload, DXH_NOW));
	must(dxh_producer_close(&producer));
}

static void use(void)
{
	dxh_block_info facts;
	dxh_consumer_config exact = {.file = file_of(name, ".dxh")};
	dxh_status status = dxh_block_stat(NULL, name, &facts);

	tried++;
	if (status != DXH_OK)
		expect_reason(status);
	look_in_all_ways();
	use_as_reader(&exact);
	use_as_reader(&(dxh_consumer_config){.discipline = DXH_FOLLOW});
	use_as_reader(&(dxh_consumer_config){.discipline = DXH_LATEST});
	if (config.readers_max > 0)
		use_as_reader(&(dxh_consumer_config){.discipline = DXH_LOSSLESS});
	use_as_writer();
}

static void break_and_use(const char *kind)
{
	image it;

	make(kind);
	random_state = 88172645463325252u;
	it = (image){malloc(good.length), good.length};
	for (int i = 0; i < IMAGES; i++) {
		break_some(it);
		store_image(name, it.bytes, it.length - (any(32) == 0 ? any(it.length) : 0));
		if (rows.bytes)
			break_rows();
		use();
	}
	store_image(name, good.bytes, good.length);
	free(it.bytes);
	fprintf(stderr,
	        "corrupt: %s, %zu bytes%s: %u images, refused %u times, attached %u times, %u "
	        "findings, %u mappings guarded\n",
	        kind, good.length, good.length % PAGE == 0 ? " to the end of a page" : "", tried,
	        refused, attached, findings, guarded);
	cr_expect_eq(tried, IMAGES);
	cr_expect_geq(refused, IMAGES / 2, "too little was noticed");
	cr_expect_geq(attached, IMAGES / 10, "too little was let through to be read");
	cr_expect_geq(findings, IMAGES / 2);
	cr_expect_geq(guarded, IMAGES);
}

Test(corrupt, usual)
{
	break_and_use("usual");
}

Test(corrupt, zones_alone)
{
	break_and_use("zones");
}

Test(corrupt, a_ring_alone_with_sums)
{
	break_and_use("ring");
	cr_expect_eq(good.length % PAGE, 0, "what reads behind the last item goes unseen");
}

Test(corrupt, a_single_slot_with_some_sums)
{
	break_and_use("single");
}

Test(corrupt, two_slots_with_sums)
{
	break_and_use("double");
}

Test(corrupt, rows_of_readers)
{
	break_and_use("rows");
}

Test(corrupt, zones_that_readers_write)
{
	break_and_use("shared");
}

/* ---- bytes that change meanwhile ---- */

static unsigned char *moving;
static _Atomic int stop;

static void *move_bytes(void *context)
{
	uint64_t state = 5;

	(void)context;
	while (!atomic_load(&stop)) {
		size_t at;

		state = state * 6364136223846793005u + 1442695040888963407u;
		at = (state >> 20) % good.length;
		__atomic_store_n(moving + at, (unsigned char)(state >> 56), __ATOMIC_RELAXED);
		__atomic_store_n(moving + at, good.bytes[at], __ATOMIC_RELAXED);
	}
	return NULL;
}

Test(corrupt, bytes_that_change_while_they_are_looked_at)
{
	pthread_t thread;
	int fd;

	make("rows");
	fd = open(file_of(name, ".dxh"), O_RDWR);
	moving = __real_mmap(NULL, good.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert(moving != MAP_FAILED);
	pthread_create(&thread, NULL, move_bytes, NULL);
	for (tried = 0; tried < 500; tried++) {
		look_in_all_ways();
		use_as_reader(&(dxh_consumer_config){.discipline = DXH_FOLLOW});
		use_as_reader(&(dxh_consumer_config){.discipline = DXH_LOSSLESS});
	}
	atomic_store(&stop, 1);
	pthread_join(thread, NULL);
	__real_munmap(moving, good.length);
	close(fd);
	cr_expect_gt(attached, 0);
	fprintf(stderr, "corrupt: moving bytes: %u rounds, refused %u, attached %u times\n", tried,
	        refused, attached);
}

/* ---- control ---- */

static void read_too_far(const char *block)
{
	dxh_consumer *consumer = open_consumer(block, (dxh_consumer_config){0});
	dxh_peek peek;

	must(dxh_consumer_seek(consumer, DXH_START_TICKET, 9)); /* in the last slot */
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	signal(SIGSEGV, SIG_DFL);
	((volatile const unsigned char *)peek.data)[config.slot.bytes];
	_exit(0);
}

Test(corrupt, one_byte_too_far_is_death)
{
	int status;

	make("ring");
	status = run_child(read_too_far, name);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "ended with 0x%x", status);
}
