/*
 * The last gate before the motor: it counts steps for itself. See thecal/interlock.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "thecal/interlock.h"

/*
 * The states as they are stored: far apart in bits, so that none becomes another by a stuck or flipped bit even if the
 * complement suffered the same.
 */
#define STORED_CLOSED  0x3C96A55Au
#define STORED_OPEN    0xC35A693Cu
#define STORED_TRIPPED 0x96C33CA5u
#define STORED_OFF     0x69A5C3F0u

#define MICROSECONDS_PER_MILLISECOND 1000u

static void set32(struct thecal_guarded32 *word, uint32_t value)
{
	word->value = value;
	word->complement = ~value;
}

static void set64(struct thecal_guarded64 *word, uint64_t value)
{
	word->value = value;
	word->complement = ~value;
}

static bool sound32(const struct thecal_guarded32 *word)
{
	return (word->value ^ word->complement) == UINT32_MAX;
}

static bool sound64(const struct thecal_guarded64 *word)
{
	return (word->value ^ word->complement) == UINT64_MAX;
}

static int32_t trip(struct thecal_interlock *interlock)
{
	set32(&interlock->state, STORED_TRIPPED);
	return -EACCES;
}

/* The words every decision needs. The buckets are checked where they are read. */
static bool window_sound(const struct thecal_interlock_window *window)
{
	return sound64(&window->newest) && sound64(&window->width_us) && window->width_us.value != 0u &&
	       sound32(&window->ceiling_steps) && sound32(&window->sum_steps) &&
	       window->sum_steps.value <= window->ceiling_steps.value;
}

/* All buckets, and that they make the sum. */
static bool buckets_sound(const struct thecal_interlock_window *window)
{
	uint64_t sum = 0u;

	for (size_t place = 0u; place < THECAL_INTERLOCK_BUCKETS; place++) {
		if (!sound32(&window->buckets[place])) {
			return false;
		}
		sum += window->buckets[place].value;
	}
	return sum == window->sum_steps.value;
}

static struct thecal_guarded32 *bucket(struct thecal_interlock_window *window, uint64_t number)
{
	return &window->buckets[number % THECAL_INTERLOCK_BUCKETS];
}

/* The bucket that a time falls into, but never one before the newest: what was counted is not forgotten early. */
static uint64_t number_at(const struct thecal_interlock_window *window, uint64_t at_us)
{
	const uint64_t newest = window->newest.value;
	const uint64_t width_us = window->width_us.value;
	/* newest came from a time, so this does not overflow. A division for every step would cost more than the rest. */
	const uint64_t begins_us = newest * width_us;

	if (at_us < begins_us || at_us - begins_us < width_us) {
		return newest;
	}
	return at_us / width_us;
}

/* Steps that the sum would hold once `number` were the newest bucket. Asks the buckets to be sound. */
static uint32_t sum_at(struct thecal_interlock_window *window, uint64_t number)
{
	const uint64_t passed = number - window->newest.value;
	uint32_t sum = window->sum_steps.value;

	if (passed >= THECAL_INTERLOCK_BUCKETS) {
		return 0u;
	}
	/* The place of each bucket to come is still held by the one that leaves the window for it. */
	for (uint64_t step = 1u; step <= passed; step++) {
		sum -= bucket(window, window->newest.value + step)->value;
	}
	return sum;
}

/* Make `number` the newest bucket; what leaves the window is forgotten. Asks the buckets to be sound. */
static void roll(struct thecal_interlock_window *window, uint64_t number)
{
	const uint32_t sum = sum_at(window, number);
	uint64_t passed = number - window->newest.value;

	if (passed > THECAL_INTERLOCK_BUCKETS) {
		passed = THECAL_INTERLOCK_BUCKETS;
	}
	for (uint64_t back = 0u; back < passed; back++) {
		set32(bucket(window, number - back), 0u);
	}
	set32(&window->sum_steps, sum);
	set64(&window->newest, number);
}

/* -EACCES and, if the state itself is damaged, trip. */
static int32_t require_open(struct thecal_interlock *interlock)
{
	const uint32_t state = interlock->state.value;

	if (!sound32(&interlock->state)) {
		return trip(interlock);
	}
	if (state == STORED_OPEN) {
		return 0;
	}
	if (state != STORED_CLOSED && state != STORED_TRIPPED && state != STORED_OFF) {
		return trip(interlock);
	}
	return -EACCES;
}

void thecal_interlock_init(struct thecal_interlock *interlock)
{
	for (size_t index = 0u; index < THECAL_INTERLOCK_WINDOWS; index++) {
		struct thecal_interlock_window *window = &interlock->windows[index];

		set64(&window->newest, 0u);
		set64(&window->width_us, 1u);
		set32(&window->ceiling_steps, 0u);
		set32(&window->sum_steps, 0u);
		for (size_t place = 0u; place < THECAL_INTERLOCK_BUCKETS; place++) {
			set32(&window->buckets[place], 0u);
		}
	}
	set32(&interlock->state, STORED_CLOSED);
}

int32_t thecal_interlock_open(struct thecal_interlock *interlock, uint32_t ceiling_steps, uint32_t window_ms)
{
	const uint64_t covering = THECAL_INTERLOCK_BUCKETS - 1u;
	const uint64_t window_us = (uint64_t)window_ms * MICROSECONDS_PER_MILLISECOND;
	struct thecal_interlock_window *hard = &interlock->windows[0];

	if (require_open(interlock) == 0 || interlock->state.value != STORED_CLOSED) {
		return -EACCES;
	}
	if (ceiling_steps == 0u || window_ms == 0u) {
		return -EINVAL;
	}
	/* Rounded up: a bucket too narrow would let a step leave the sum before it leaves the window. */
	set64(&hard->width_us, (window_us + covering - 1u) / covering);
	set32(&hard->ceiling_steps, ceiling_steps);
	set32(&interlock->state, STORED_OPEN);
	return 0;
}

int32_t thecal_interlock_permit(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps)
{
	const int32_t refusal = require_open(interlock);

	if (refusal != 0) {
		return refusal;
	}
	for (size_t index = 0u; index < THECAL_INTERLOCK_WINDOWS; index++) {
		struct thecal_interlock_window *window = &interlock->windows[index];

		if (!window_sound(window) || !buckets_sound(window)) {
			return trip(interlock);
		}
		if (steps > window->ceiling_steps.value - sum_at(window, number_at(window, at_us))) {
			return -EPERM;
		}
	}
	return 0;
}

int32_t thecal_interlock_count(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps)
{
	const int32_t refusal = require_open(interlock);

	if (refusal != 0) {
		return refusal;
	}
	for (size_t index = 0u; index < THECAL_INTERLOCK_WINDOWS; index++) {
		struct thecal_interlock_window *window = &interlock->windows[index];
		struct thecal_guarded32 *newest;
		uint64_t number;

		if (!window_sound(window)) {
			return trip(interlock);
		}
		number = number_at(window, at_us);
		if (number != window->newest.value) {
			if (!buckets_sound(window)) {
				return trip(interlock);
			}
			roll(window, number);
		}
		newest = bucket(window, number);
		if (!sound32(newest)) {
			return trip(interlock);
		}
		if (steps > window->ceiling_steps.value - window->sum_steps.value) {
			(void)trip(interlock);
			return -EPERM;
		}
		set32(newest, newest->value + steps);
		set32(&window->sum_steps, window->sum_steps.value + steps);
	}
	return 0;
}

int32_t thecal_interlock_take_step(struct thecal_interlock *interlock, uint64_t at_us)
{
	const int32_t refusal = require_open(interlock);

	if (refusal != 0) {
		return refusal;
	}
	for (size_t index = 0u; index < THECAL_INTERLOCK_WINDOWS; index++) {
		struct thecal_interlock_window *window = &interlock->windows[index];
		uint64_t number;

		if (!window_sound(window)) {
			return trip(interlock);
		}
		number = number_at(window, at_us);
		/* Every step of a day comes by here: all buckets are looked at when one is opened, not for each step. */
		if (number != window->newest.value) {
			if (!buckets_sound(window)) {
				return trip(interlock);
			}
			roll(window, number);
		}
		if (window->sum_steps.value >= window->ceiling_steps.value) {
			return -EPERM;
		}
	}
	return thecal_interlock_count(interlock, at_us, 1u);
}

void thecal_interlock_shut(struct thecal_interlock *interlock)
{
	const int32_t refusal = require_open(interlock);

	if (refusal != 0 && interlock->state.value == STORED_TRIPPED) {
		return;
	}
	set32(&interlock->state, STORED_OFF);
}

uint16_t thecal_interlock_state(struct thecal_interlock *interlock)
{
	(void)require_open(interlock);
	if (interlock->state.value == STORED_OPEN || interlock->state.value == STORED_CLOSED) {
		for (size_t index = 0u; index < THECAL_INTERLOCK_WINDOWS; index++) {
			struct thecal_interlock_window *window = &interlock->windows[index];

			if (!window_sound(window) || !buckets_sound(window)) {
				(void)trip(interlock);
			}
		}
	}
	switch (interlock->state.value) {
	case STORED_OPEN:
		return THECAL_INTERLOCK_OPEN;
	case STORED_CLOSED:
		return THECAL_INTERLOCK_CLOSED;
	case STORED_OFF:
		return THECAL_INTERLOCK_OFF;
	default:
		return THECAL_INTERLOCK_TRIPPED;
	}
}
