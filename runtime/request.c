/* SPDX-License-Identifier: MIT */
/* What a worker does with a request: looks at it, and answers, rejects or releases it. */
#include "runtime/parcel.h"

#include "base/probe.h"
#include "base/status.h"

#include <string.h>

enum { ERROR_TEXT_MAX = 32768 }; /* what is longer is cut */

static const char *subject_of(const dxi_note *note)
{
	size_t bytes = note->task.number & 0xff;

	return (const char *)note + dxi_note_body_at(bytes) - 1 - bytes;
}

static const void *body_of(const dxi_note *note, size_t *bytes)
{
	*bytes = dxi_note_body_bytes(note);
	return (const char *)note + dxi_note_body_at(note->task.number & 0xff);
}

const char *dxh_request_subject(const dxh_request *request)
{
	const dxi_note *note = dxi_note_of(request);

	if (note)
		return subject_of(note);
	return (const char *)request->storage;
}

const void *dxh_request_body(const dxh_request *request, size_t *body_bytes)
{
	const dxi_note *note = dxi_note_of(request);
	size_t unused;

	if (!body_bytes)
		body_bytes = &unused;
	if (note)
		return body_of(note, body_bytes);
	*body_bytes = request->body_bytes;
	return request->body;
}

int dxh_request_is_notification(const dxh_request *request)
{
	return dxi_note_of(request) != NULL;
}

int64_t dxh_request_budget_ns(const dxh_request *request)
{
	if (dxi_note_of(request) || request->deadline_ns == DXH_FOREVER)
		return DXH_FOREVER;
	return request->deadline_ns - dxh_now_ns();
}

uint32_t dxh_request_attempt(const dxh_request *request)
{
	return dxi_note_of(request) ? 0 : request->attempt;
}

int dxh_request_canceled(const dxh_request *request)
{
	return !dxi_note_of(request) &&
	       atomic_load_explicit(&request->canceled, memory_order_relaxed);
}

/* ---- answered ----------------------------------------------------------------------- */

static void give_back(dxh_request *request)
{
	if (dxi_inline_answered(request))
		return;
	dxi_hub_push(request->service->hub, &request->task, &request->task);
}

static void give_back_notification(const dxi_note *note)
{
	dxi_parcel *parcel = note->parcel;

	if (dxi_parcel_release(parcel))
		dxi_hub_push(parcel->service->hub, &parcel->task, &parcel->task);
}

/* Does it lie in the request, as what was received does? */
static bool is_in_storage(const dxh_request *request, const unsigned char *answer, size_t bytes)
{
	return answer >= request->storage && answer + bytes <= request->storage + request->capacity;
}

static void release_lender(void *lender, void *answer)
{
	(void)answer;
	dxi_body_release(lender);
}

/* What is part of a body that is lent is held as that is. NULL: no memory. */
static dxi_body *share(dxi_body *lender, const void *answer)
{
	dxi_body *shared = dxi_body_make(0);

	if (!shared)
		return NULL;
	dxi_body_acquire(lender);
	shared->bytes = answer;
	shared->free_fn = release_lender;
	shared->free_context = lender;
	return shared;
}

static bool is_in_lent_body(const dxh_request *request, const unsigned char *answer, size_t bytes)
{
	return request->lender && answer >= request->body &&
	       answer + bytes <= request->body + request->body_bytes;
}

/* Keep the answer: where it is, when that is in the request's own body; else copied
 * into the request or into memory of its own. */
static bool keep_answer(dxh_request *request, const void *answer, size_t bytes)
{
	if (is_in_storage(request, answer, bytes)) {
		request->answer = answer;
	} else if (is_in_lent_body(request, answer, bytes)) {
		request->answer_body = share(request->lender, answer);
		if (!request->answer_body)
			return false;
		request->answer = answer;
	} else if (bytes <= request->capacity) {
		if (bytes > 0)
			memcpy(request->storage, answer, bytes);
		request->answer = request->storage;
	} else {
		request->answer_body = dxi_body_make(bytes);
		if (!request->answer_body)
			return false;
		memcpy(request->answer_body->own, answer, bytes);
		request->answer = request->answer_body->own;
	}
	request->answer_bytes = bytes;
	return true;
}

/* What an answer is made of, and whose it is. */
typedef struct given_answer {
	uint8_t kind; /* dxi_record_kind */
	dxh_status status;
	const void *body;
	size_t body_bytes;
	dxh_free_fn free_fn; /* NULL: to be copied */
	void *free_context;
} given_answer;

/* Take an answer over that its giver hands over. */
static bool take_over(dxh_request *request, const given_answer *given)
{
	request->answer_body = dxi_body_make(0);
	if (!request->answer_body)
		return false;
	request->answer_body->bytes = given->body;
	request->answer_body->free_fn = given->free_fn;
	request->answer_body->free_context = given->free_context;
	request->answer = given->body;
	request->answer_bytes = given->body_bytes;
	return true;
}

static dxh_status answer(dxh_request *request, const given_answer *given)
{
	dxh_hub *hub = dxi_request_service(request)->hub;
	dxh_status result = dxi_hub_check_process(hub);
	const dxi_note *note = dxi_note_of(request);

	if (result != DXH_OK)
		return result;
	if (note) {
		give_back_notification(note);
		return dxi_fail(DXH_ESTATE, "a notification has no answer: release it");
	}
	if (given->body_bytes > hub->config.body_bytes_max)
		result =
			dxi_fail(DXH_ETOOBIG, "an answer of %zu bytes; this hub sends at most %llu",
		                 given->body_bytes, (unsigned long long)hub->config.body_bytes_max);
	else if (!(given->free_fn ? take_over(request, given)
	                          : keep_answer(request, given->body, given->body_bytes)))
		result = dxi_fail(DXH_ENOMEM, "no memory for an answer of %zu bytes",
		                  given->body_bytes);
	DXI_PROBE(answer, request, (int)given->status, given->body_bytes);
	request->answer_kind = given->kind;
	request->answer_status = given->status;
	if (result != DXH_OK) {
		const char *text = "the service's answer could not be sent";

		request->answer_kind = DXI_ERROR;
		request->answer_status = result;
		keep_answer(request, text, strlen(text));
	}
	give_back(request);
	return result;
}

dxh_status dxh_request_reply(dxh_request *request, const void *body, size_t body_bytes)
{
	if (!request || (!body && body_bytes > 0))
		return dxi_fail(DXH_EINVAL, "a reply needs its request, and a body for its length");
	return answer(request, &(given_answer){.kind = DXI_REPLY,
	                                       .status = DXH_OK,
	                                       .body = body,
	                                       .body_bytes = body_bytes});
}

dxh_status dxh_request_reply_owned(dxh_request *request, void *body, size_t body_bytes,
                                   dxh_free_fn free_fn, void *free_context)
{
	if (!request || !free_fn || (!body && body_bytes > 0))
		return dxi_fail(DXH_EINVAL, "a reply that is handed over needs its request, a body "
		                            "for its length, and a free_fn");
	return answer(request, &(given_answer){.kind = DXI_REPLY,
	                                       .status = DXH_OK,
	                                       .body = body,
	                                       .body_bytes = body_bytes,
	                                       .free_fn = free_fn,
	                                       .free_context = free_context});
}

static dxh_status answer_error(dxh_request *request, dxh_status status, const char *text)
{
	return answer(request, &(given_answer){.kind = DXI_ERROR,
	                                       .status = status,
	                                       .body = text,
	                                       .body_bytes = strnlen(text, ERROR_TEXT_MAX)});
}

dxh_status dxh_request_reject(dxh_request *request, dxh_status status, const char *text)
{
	if (!request)
		return dxi_fail(DXH_EINVAL, "the request is NULL");
	if (status == DXH_OK || status == DXH_EWAIT) {
		(void)answer_error(request, DXH_EREJECTED, "");
		return dxi_fail(DXH_EINVAL,
		                "a request is not rejected as %s: DXH_EREJECTED was sent",
		                dxh_status_name(status));
	}
	return answer_error(request, status, text ? text : "");
}

void dxh_request_release(dxh_request *request)
{
	const dxi_note *note = request ? dxi_note_of(request) : NULL;

	if (!request || dxi_hub_check_process(dxi_request_service(request)->hub) != DXH_OK)
		return;
	if (note)
		give_back_notification(note);
	else
		dxh_request_reject(request, DXH_EREJECTED, "the service released it unanswered");
}
