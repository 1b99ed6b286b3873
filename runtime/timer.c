/* SPDX-License-Identifier: MIT */
/* Ticks are rounded up, so that a tick which has begun is never early. */
#include "runtime/timer.h"

#include <assert.h>

enum { DIGIT_BITS = 6, DIGIT_MASK = DXI_WHEEL_SLOTS - 1 };

static_assert(sizeof(dxi_timer) <= 32, "a timer is part of every operation");
static_assert(1 << DIGIT_BITS == DXI_WHEEL_SLOTS && DXI_WHEEL_SLOTS == 64, "a bitmap per level");

/* The first tick that begins at or after the deadline. */
static uint64_t tick_of(const dxi_wheel *wheel, int64_t deadline_ns)
{
	uint64_t after_ns;

	if (deadline_ns <= wheel->start_ns)
		return 0;
	after_ns = (uint64_t)deadline_ns - (uint64_t)wheel->start_ns;
	return (after_ns - 1) / DXI_WHEEL_TICK_NS + 1;
}

/* The last tick that has begun. */
static uint64_t tick_at(const dxi_wheel *wheel, int64_t now_ns)
{
	if (now_ns <= wheel->start_ns)
		return 0;
	return ((uint64_t)now_ns - (uint64_t)wheel->start_ns) / DXI_WHEEL_TICK_NS;
}

static unsigned digit(uint64_t tick, unsigned level)
{
	return (unsigned)(tick >> (level * DIGIT_BITS)) & DIGIT_MASK;
}

static void insert(dxi_wheel *wheel, dxi_timer *timer)
{
	uint64_t tick = tick_of(wheel, timer->deadline_ns);
	unsigned level = 0, slot;
	dxi_timer *head;

	if (tick <= wheel->tick)
		tick = wheel->tick;
	else
		level = (63 - (unsigned)__builtin_clzll(tick ^ wheel->tick)) / DIGIT_BITS;
	assert(level < DXI_WHEEL_LEVELS);
	slot = digit(tick, level);
	head = &wheel->slots[level][slot];
	timer->next = head;
	timer->previous = head->previous;
	head->previous->next = timer;
	head->previous = timer;
	wheel->occupied[level] |= UINT64_C(1) << slot;
}

static void unlink_timer(dxi_wheel *wheel, dxi_timer *timer)
{
	dxi_timer *before = timer->previous, *after = timer->next;

	before->next = after;
	after->previous = before;
	timer->previous = NULL;
	timer->next = NULL;
	if (before == after) { /* the head alone is left, and its place is its number */
		size_t index = (size_t)(after - &wheel->slots[0][0]);

		assert(index < DXI_WHEEL_LEVELS * DXI_WHEEL_SLOTS);
		wheel->occupied[index / DXI_WHEEL_SLOTS] &=
			~(UINT64_C(1) << index % DXI_WHEEL_SLOTS);
	}
}

/* The slot that begins first, and the tick at which it does. false: none. */
static bool first_slot(const dxi_wheel *wheel, unsigned *level, unsigned *slot, uint64_t *tick)
{
	for (unsigned i = 0; i < DXI_WHEEL_LEVELS; i++) {
		unsigned below = i * DIGIT_BITS;
		uint64_t block;

		if (wheel->occupied[i] == 0)
			continue;
		*level = i;
		*slot = (unsigned)__builtin_ctzll(wheel->occupied[i]);
		block = wheel->tick >> (below + DIGIT_BITS) << (below + DIGIT_BITS);
		*tick = block | (uint64_t)*slot << below;
		return true;
	}
	return false;
}

/* The wheel has reached the begin of this slot: its timers belong on finer
 * levels now. Each timer moves at most once per level in its life. */
static void cascade(dxi_wheel *wheel, unsigned level, unsigned slot)
{
	dxi_timer *head = &wheel->slots[level][slot];

	while (head->next != head) {
		dxi_timer *timer = head->next;

		unlink_timer(wheel, timer);
		insert(wheel, timer);
	}
}

void dxi_wheel_init(dxi_wheel *wheel, int64_t now_ns)
{
	wheel->start_ns = now_ns;
	wheel->tick = 0;
	for (unsigned level = 0; level < DXI_WHEEL_LEVELS; level++) {
		wheel->occupied[level] = 0;
		for (unsigned slot = 0; slot < DXI_WHEEL_SLOTS; slot++) {
			dxi_timer *head = &wheel->slots[level][slot];

			*head = (dxi_timer){.previous = head, .next = head};
		}
	}
}

void dxi_wheel_arm(dxi_wheel *wheel, dxi_timer *timer, int64_t deadline_ns)
{
	dxi_wheel_disarm(wheel, timer);
	timer->deadline_ns = deadline_ns;
	if (deadline_ns != DXH_FOREVER)
		insert(wheel, timer);
}

void dxi_wheel_disarm(dxi_wheel *wheel, dxi_timer *timer)
{
	if (dxi_timer_armed(timer))
		unlink_timer(wheel, timer);
}

bool dxi_timer_armed(const dxi_timer *timer)
{
	return timer->next != NULL;
}

dxi_timer *dxi_wheel_expire(dxi_wheel *wheel, int64_t now_ns)
{
	uint64_t until = tick_at(wheel, now_ns), tick;
	unsigned level, slot;

	/* What is due at `tick` was due when it came; never turn back. */
	if (until < wheel->tick)
		until = wheel->tick;
	while (first_slot(wheel, &level, &slot, &tick) && tick <= until) {
		wheel->tick = tick;
		if (level == 0) {
			dxi_timer *due = wheel->slots[0][slot].next;

			unlink_timer(wheel, due);
			return due;
		}
		cascade(wheel, level, slot);
	}
	wheel->tick = until;
	return NULL;
}

int64_t dxi_wheel_next_ns(const dxi_wheel *wheel)
{
	unsigned level, slot;
	uint64_t tick;
	int64_t span_ns, next_ns;

	if (!first_slot(wheel, &level, &slot, &tick))
		return DXH_FOREVER;
	if (__builtin_mul_overflow(tick, DXI_WHEEL_TICK_NS, &span_ns) ||
	    __builtin_add_overflow(wheel->start_ns, span_ns, &next_ns) || next_ns == DXH_FOREVER)
		return DXH_FOREVER - 1;
	return next_ns;
}
