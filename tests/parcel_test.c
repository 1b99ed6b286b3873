/* SPDX-License-Identifier: MIT */
/* The notifications of one frame: handed out one by one, given back in any order, and
 * their memory accounted for until the last of them is back. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/pair.h"

#include "runtime/parcel.h"

enum { COUNT = 100 };

static dxh_hub *server;
static dxh_service *service;
static dxh_request *received[COUNT];

/* One frame with COUNT notifications in it. */
static void open_and_receive(void)
{
	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service),
	                      &(dxh_peer_config){.linger_us = 10000000}, &peer));
	for (uint32_t i = 0; i < COUNT; i++)
		must(dxh_notify(peer, "n", &i, sizeof i));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	for (int i = 0; i < COUNT; i++)
		must(dxh_service_receive(service, SOON, &received[i]));
}

static void *release_every_second(void *first)
{
	for (uintptr_t i = (uintptr_t)first; i < COUNT; i += 2)
		dxh_request_release(received[COUNT - 1 - i]);
	return NULL;
}

Test(parcel, is_given_back_by_whoever_releases_its_last, .timeout = 20)
{
	pthread_t thread;

	open_and_receive();
	for (uint32_t i = 0; i < COUNT; i++) {
		size_t bytes;

		cr_assert_str_eq(dxh_request_subject(received[i]), "n");
		cr_assert_eq(memcmp(dxh_request_body(received[i], &bytes), &i, sizeof i), 0);
		cr_assert_eq(bytes, sizeof i);
	}
	pthread_create(&thread, NULL, release_every_second, (void *)1);
	release_every_second((void *)0);
	pthread_join(thread, NULL);
	/* The I/O thread has taken everything back when it answers the next flush. */
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	cr_expect_eq(service->requests_out, 0);
	cr_expect_eq(service->bytes_out, 0);
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(parcel, outlives_its_service_in_the_hands_of_its_user, .timeout = 20)
{
	open_and_receive();
	must(dxh_service_close(&service));
	cr_expect_str_eq(dxh_request_subject(received[COUNT - 1]), "n");
	release_every_second((void *)0);
	release_every_second((void *)1);
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

/* The memory of the frame's records is enough, and what is in it stands where it must:
 * any length of subject and body. */
Test(parcel, takes_no_more_room_than_the_records_did, .timeout = 20)
{
	static const size_t lengths[] = {0, 1, 7, 8, 9, 63, 64, 65, 40000};
	static char text[40000], name[256];

	memset(text, 'b', sizeof text);
	memset(name, 's', sizeof name);
	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	for (size_t subject = 1; subject <= 255; subject++)
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
			dxi_parcel *parcel =
				dxi_parcel_make(service, 3 * dxi_record_bytes(subject, lengths[i]));
			const dxi_record record = {.subject = name,
			                           .subject_bytes = (uint16_t)subject,
			                           .body = text,
			                           .body_bytes = lengths[i]};
			const dxh_request *notes[3];

			for (int k = 0; k < 3; k++)
				notes[k] = (dxh_request *)(void *)dxi_parcel_add(parcel, &record);
			for (int k = 0; k < 3; k++) {
				size_t bytes;
				const void *body = dxh_request_body(notes[k], &bytes);

				cr_assert(dxh_request_is_notification(notes[k]));
				cr_assert_eq(strlen(dxh_request_subject(notes[k])), subject);
				cr_assert_eq(bytes, lengths[i]);
				cr_assert_eq((uintptr_t)body % 8, 0);
				cr_assert_eq(memcmp(body, text, bytes), 0);
				cr_assert_eq(dxh_request_attempt(notes[k]), 0);
				cr_assert_eq(dxh_request_canceled(notes[k]), 0);
				cr_assert_eq(dxh_request_budget_ns(notes[k]), DXH_FOREVER);
			}
			cr_assert_leq(parcel->used, parcel->capacity);
			dxi_parcel_free(parcel);
		}
	must(test_hub_close(&server));
}
