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

/* Whether allowances have been handed over, as it is stored. */
#define STORED_ARMED     0x5AC3963Cu
#define STORED_NOT_ARMED 0xA53C69C3u

#define MICROSECONDS_PER_MILLISECOND 1000u
#define MICROSECONDS_PER_SECOND      1000000u
#define HOUR_MS                      3600000u
#define DAY_MS                       86400000u

/*
 * What an accepted order needs must last until its last step is made. An order reaches 60 s ahead, and its last step may
 * be late. Whoever accepts it looks further ahead than whoever loads it, so that nothing runs out between the two.
 */
#define LASTING_FOR_ACCEPTED_S 120u
#define LASTING_FOR_LOADED_S   65u

#define ALLOWANCE_WORDS (sizeof(struct thecal_interlock_allowances) / sizeof(uint32_t))

/* How long the two armed windows remember a step. */
static const uint32_t remembered_s[THECAL_INTERLOCK_ARMED_WINDOWS] = {THECAL_INTERLOCK_HOUR_REMEMBERED_S,
								      THECAL_INTERLOCK_DAY_REMEMBERED_S};

#define COVERING_BUCKETS (THECAL_INTERLOCK_BUCKETS - 1u)
_Static_assert(HOUR_MS % COVERING_BUCKETS == 0u && DAY_MS % COVERING_BUCKETS == 0u, "buckets of whole milliseconds");
_Static_assert(HOUR_MS / COVERING_BUCKETS * THECAL_INTERLOCK_BUCKETS == THECAL_INTERLOCK_HOUR_REMEMBERED_S * 1000u &&
		       DAY_MS / COVERING_BUCKETS * THECAL_INTERLOCK_BUCKETS ==
			       THECAL_INTERLOCK_DAY_REMEMBERED_S * 1000u,
	       "the header says otherwise");

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

/* CRC-32 of Ethernet, four bits at a time: a table of 256 words would be more than the rest of this file. */
static uint32_t crc_of(const struct thecal_interlock_allowances *allowances)
{
	static const uint32_t table[16] = {
		0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
		0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
	};
	const uint32_t *words = (const uint32_t *)allowances;
	uint32_t crc = UINT32_MAX;

	for (size_t index = 0u; index < ALLOWANCE_WORDS; index++) {
		crc ^= words[index];
		for (unsigned int nibble = 0u; nibble < 8u; nibble++) {
			crc = table[crc & 15u] ^ (crc >> 4);
		}
	}
	return ~crc;
}

/* Complement and CRC of the allowances as they are now. */
static void guard_allowances(struct thecal_interlock *interlock)
{
	const uint32_t *words = (const uint32_t *)&interlock->allowances;
	uint32_t *complement = (uint32_t *)&interlock->complement;

	for (size_t index = 0u; index < ALLOWANCE_WORDS; index++) {
		complement[index] = ~words[index];
	}
	set32(&interlock->crc, crc_of(&interlock->allowances));
}

/* Word by word: what every step looks at. */
static bool allowances_agree(const struct thecal_interlock *interlock)
{
	const uint32_t *words = (const uint32_t *)&interlock->allowances;
	const uint32_t *complement = (const uint32_t *)&interlock->complement;
	const uint32_t armed = interlock->allowances.armed;

	for (size_t index = 0u; index < ALLOWANCE_WORDS; index++) {
		if ((words[index] ^ complement[index]) != UINT32_MAX) {
			return false;
		}
	}
	return (armed == STORED_ARMED || armed == STORED_NOT_ARMED) && sound32(&interlock->crc) &&
	       sound64(&interlock->earlier_us);
}

static bool allowances_sound(const struct thecal_interlock *interlock)
{
	return allowances_agree(interlock) && interlock->crc.value == crc_of(&interlock->allowances);
}

static bool is_armed(const struct thecal_interlock *interlock)
{
	return interlock->allowances.armed == STORED_ARMED;
}

static uint64_t saturating_sum(uint64_t one, uint64_t other)
{
	return one > UINT64_MAX - other ? UINT64_MAX : one + other;
}

static uint32_t capped(uint64_t number)
{
	return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* The time that goes on over resets. */
static uint64_t continued(const struct thecal_interlock *interlock, uint64_t at_us)
{
	return saturating_sum(at_us, interlock->earlier_us.value);
}

/* Whole seconds that are over; 136 years at most. */
static uint32_t seconds(uint64_t time_us)
{
	return capped(time_us / MICROSECONDS_PER_SECOND);
}

/* Whether a credit still holds in a window at that time, in the time that goes on. */
static bool holds(const struct thecal_interlock_credit *credit, size_t window, uint64_t at_s)
{
	/* Longer by what permit() looks ahead, so that nothing is missing that was promised. */
	return at_s < (uint64_t)credit->until_s + remembered_s[window] + LASTING_FOR_ACCEPTED_S;
}

/* Most steps that an armed window may hold at that time, in the time that goes on. */
static uint32_t allowance(const struct thecal_interlock_allowances *allowances, size_t window, uint64_t at_s)
{
	const struct thecal_interlock_credit *fading = &allowances->fading[window];
	uint64_t steps = allowances->steps[window];

	if (fading->steps > steps && holds(fading, window, at_s)) {
		steps = fading->steps;
	}
	for (size_t place = 0u; place < THECAL_INTERLOCK_GRANTS; place++) {
		if (holds(&allowances->grants[place], window, at_s)) {
			steps += allowances->grants[place].steps;
		}
	}
	return capped(steps);
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

/* Open, and the allowances whole: what every decision begins with. */
static int32_t require_sound(struct thecal_interlock *interlock)
{
	const int32_t refusal = require_open(interlock);

	if (refusal == 0 && !allowances_sound(interlock)) {
		return trip(interlock);
	}
	return refusal;
}

/* Everything but the state. */
static bool all_sound(const struct thecal_interlock *interlock)
{
	for (size_t index = 0u; index < THECAL_INTERLOCK_WINDOWS; index++) {
		if (!window_sound(&interlock->windows[index]) || !buckets_sound(&interlock->windows[index])) {
			return false;
		}
	}
	return allowances_sound(interlock);
}

/* Most steps that a window may hold at that time (since boot), and in so many seconds still. */
static uint32_t most_steps(const struct thecal_interlock *interlock, size_t index, uint64_t at_us, uint32_t lasting_s)
{
	if (index == THECAL_INTERLOCK_HARD) {
		return interlock->windows[index].ceiling_steps.value;
	}
	return allowance(&interlock->allowances, index - THECAL_INTERLOCK_HOUR,
			 (uint64_t)seconds(continued(interlock, at_us)) + lasting_s);
}

/* What it is called that a window has no room. */
static int32_t full(size_t index)
{
	return index == THECAL_INTERLOCK_HARD ? -EPERM : -ENOSPC;
}

/* Let time pass in a window: -EACCES, and trip, if it is damaged. */
static int32_t pass_time(struct thecal_interlock *interlock, struct thecal_interlock_window *window, uint64_t at_us)
{
	uint64_t number;

	if (!window_sound(window)) {
		return trip(interlock);
	}
	number = number_at(window, continued(interlock, at_us));
	/* Every step of a day comes by here: all buckets, and the CRC, are looked at when one is opened, not for each step. */
	if (number != window->newest.value) {
		if (!buckets_sound(window) || !allowances_sound(interlock)) {
			return trip(interlock);
		}
		roll(window, number);
	}
	return 0;
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
	set64(&interlock->earlier_us, 0u);
	interlock->allowances = (struct thecal_interlock_allowances){.armed = STORED_NOT_ARMED};
	guard_allowances(interlock);
	set32(&interlock->state, STORED_CLOSED);
}

/* Rounded up: a bucket too narrow would let a step leave the sum before it leaves the window. */
static void make_window(struct thecal_interlock_window *window, uint32_t ceiling_steps, uint32_t window_ms)
{
	const uint64_t window_us = (uint64_t)window_ms * MICROSECONDS_PER_MILLISECOND;

	set64(&window->width_us, (window_us + COVERING_BUCKETS - 1u) / COVERING_BUCKETS);
	set32(&window->ceiling_steps, ceiling_steps);
}

int32_t thecal_interlock_open(struct thecal_interlock *interlock, uint32_t ceiling_steps, uint32_t window_ms)
{
	if (require_open(interlock) == 0 || interlock->state.value != STORED_CLOSED) {
		return -EACCES;
	}
	if (ceiling_steps == 0u || window_ms == 0u) {
		return -EINVAL;
	}
	make_window(&interlock->windows[THECAL_INTERLOCK_HARD], ceiling_steps, window_ms);
	/* The ceilings of these are the allowances; this one is what a sum can be. */
	make_window(&interlock->windows[THECAL_INTERLOCK_HOUR], UINT32_MAX, HOUR_MS);
	make_window(&interlock->windows[THECAL_INTERLOCK_DAY], UINT32_MAX, DAY_MS);
	set32(&interlock->state, STORED_OPEN);
	return 0;
}

int32_t thecal_interlock_arm(struct thecal_interlock *interlock, uint64_t at_us, uint32_t hour_steps,
			     uint32_t day_steps)
{
	const uint32_t wanted[THECAL_INTERLOCK_ARMED_WINDOWS] = {hour_steps, day_steps};
	struct thecal_interlock_allowances *allowances = &interlock->allowances;
	const int32_t refusal = require_sound(interlock);
	uint32_t now_s;

	if (refusal != 0) {
		return refusal;
	}
	if (day_steps < hour_steps) {
		return -EINVAL;
	}
	now_s = seconds(continued(interlock, at_us));
	for (size_t window = 0u; window < THECAL_INTERLOCK_ARMED_WINDOWS; window++) {
		struct thecal_interlock_credit *fading = &allowances->fading[window];

		/* What was made under the higher one is in the window, and so was allowed. */
		if (wanted[window] < allowances->steps[window]) {
			if (fading->steps < allowances->steps[window] || !holds(fading, window, now_s)) {
				fading->steps = allowances->steps[window];
			}
			/* Rounded up: the second that runs counts. */
			fading->until_s = capped((uint64_t)now_s + 1u);
		}
		allowances->steps[window] = wanted[window];
	}
	allowances->armed = STORED_ARMED;
	guard_allowances(interlock);
	return 0;
}

int32_t thecal_interlock_grant(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps, uint32_t within_s)
{
	const int32_t refusal = require_sound(interlock);
	uint32_t now_s;

	if (refusal != 0) {
		return refusal;
	}
	if (!is_armed(interlock)) {
		return -ENOENT;
	}
	if (steps == 0u || within_s > THECAL_INTERLOCK_LONGEST_GRANT_S) {
		return -EINVAL;
	}
	now_s = seconds(continued(interlock, at_us));
	for (size_t place = 0u; place < THECAL_INTERLOCK_GRANTS; place++) {
		struct thecal_interlock_credit *grant = &interlock->allowances.grants[place];

		if (grant->steps == 0u || !holds(grant, THECAL_INTERLOCK_DAY - THECAL_INTERLOCK_HOUR, now_s)) {
			grant->steps = steps;
			grant->until_s = capped((uint64_t)now_s + within_s + 1u);
			guard_allowances(interlock);
			return 0;
		}
	}
	return -EBUSY;
}

uint16_t thecal_interlock_armed(const struct thecal_interlock *interlock)
{
	return is_armed(interlock) ? 1u : 0u;
}

/* Whether so many steps may be made from at_us on, for so many seconds. */
static int32_t ask(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps, uint32_t lasting_s)
{
	const int32_t refusal = require_sound(interlock);
	const uint64_t time_us = continued(interlock, at_us);

	if (refusal != 0) {
		return refusal;
	}
	if (!is_armed(interlock)) {
		return -ENOENT;
	}
	for (size_t index = 0u; index < THECAL_INTERLOCK_WINDOWS; index++) {
		struct thecal_interlock_window *window = &interlock->windows[index];
		uint64_t held;

		if (!window_sound(window) || !buckets_sound(window)) {
			return trip(interlock);
		}
		held = sum_at(window, number_at(window, time_us));
		/* A sum may be above an allowance that has become lower: then there is no room, and no damage. */
		if (held + steps > most_steps(interlock, index, at_us, lasting_s)) {
			return full(index);
		}
	}
	return 0;
}

int32_t thecal_interlock_permit(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps)
{
	return ask(interlock, at_us, steps, LASTING_FOR_ACCEPTED_S);
}

int32_t thecal_interlock_confirm(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps)
{
	const int32_t refusal = ask(interlock, at_us, steps, LASTING_FOR_LOADED_S);

	if (refusal == -ENOSPC) {
		(void)trip(interlock);
	}
	return refusal;
}

/* Count steps, of a gate that is open, armed and sound. */
static int32_t counted(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps)
{
	for (size_t index = 0u; index < THECAL_INTERLOCK_WINDOWS; index++) {
		struct thecal_interlock_window *window = &interlock->windows[index];
		struct thecal_guarded32 *newest;

		if (pass_time(interlock, window, at_us) != 0) {
			return -EACCES;
		}
		newest = bucket(window, window->newest.value);
		if (!sound32(newest)) {
			return trip(interlock);
		}
		if (steps != 0u && (uint64_t)window->sum_steps.value + steps > most_steps(interlock, index, at_us, 0u)) {
			(void)trip(interlock);
			return full(index);
		}
		set32(newest, newest->value + steps);
		set32(&window->sum_steps, window->sum_steps.value + steps);
	}
	return 0;
}

int32_t thecal_interlock_count(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps)
{
	const int32_t refusal = require_sound(interlock);

	if (refusal != 0) {
		return refusal;
	}
	if (!is_armed(interlock)) {
		if (steps != 0u) {
			(void)trip(interlock);
		}
		return -ENOENT;
	}
	return counted(interlock, at_us, steps);
}

int32_t thecal_interlock_take_step(struct thecal_interlock *interlock, uint64_t at_us)
{
	const int32_t refusal = require_open(interlock);
	struct thecal_interlock_window *hard = &interlock->windows[THECAL_INTERLOCK_HARD];

	if (refusal != 0) {
		return refusal;
	}
	if (!allowances_agree(interlock)) {
		return trip(interlock);
	}
	if (!is_armed(interlock)) {
		return -ENOENT;
	}
	if (pass_time(interlock, hard, at_us) != 0) {
		return -EACCES;
	}
	if (hard->sum_steps.value >= hard->ceiling_steps.value) {
		return -EPERM;
	}
	return counted(interlock, at_us, 1u);
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
	if ((interlock->state.value == STORED_OPEN || interlock->state.value == STORED_CLOSED) && !all_sound(interlock)) {
		(void)trip(interlock);
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

int32_t thecal_interlock_save(const struct thecal_interlock *interlock, uint64_t at_us, uint32_t coming,
			      struct thecal_interlock_history *history)
{
	uint64_t time_us;

	if (!sound32(&interlock->state) || !all_sound(interlock)) {
		return -EACCES;
	}
	if (!is_armed(interlock)) {
		return -ENOENT;
	}
	time_us = continued(interlock, at_us);
	for (size_t index = THECAL_INTERLOCK_HOUR; index < THECAL_INTERLOCK_WINDOWS; index++) {
		const uint64_t begins_us =
			interlock->windows[index].newest.value * interlock->windows[index].width_us.value;

		if (time_us < begins_us) {
			time_us = begins_us;
		}
	}
	*history = (struct thecal_interlock_history){.at_us = time_us, .allowances = interlock->allowances};
	for (size_t armed = 0u; armed < THECAL_INTERLOCK_ARMED_WINDOWS; armed++) {
		const struct thecal_interlock_window *window = &interlock->windows[THECAL_INTERLOCK_HOUR + armed];
		const uint64_t newest = window->newest.value;
		const uint64_t number = number_at(window, time_us);
		uint32_t *buckets = history->buckets[armed];

		/* What has not left the window by now; the places of what has left hold nothing. */
		for (uint64_t back = 0u; back < THECAL_INTERLOCK_BUCKETS && back <= newest; back++) {
			if (number - (newest - back) < THECAL_INTERLOCK_BUCKETS) {
				buckets[(newest - back) % THECAL_INTERLOCK_BUCKETS] =
					window->buckets[(newest - back) % THECAL_INTERLOCK_BUCKETS].value;
			}
		}
		buckets[number % THECAL_INTERLOCK_BUCKETS] =
			capped((uint64_t)buckets[number % THECAL_INTERLOCK_BUCKETS] + coming);
	}
	return 0;
}

int32_t thecal_interlock_restore(struct thecal_interlock *interlock, uint64_t at_us,
				 const struct thecal_interlock_history *history)
{
	const int32_t refusal = require_sound(interlock);

	if (refusal != 0 || is_armed(interlock)) {
		return -EACCES;
	}
	/* A pump's clock does not go for 500,000 years. */
	if (history->allowances.armed != STORED_ARMED || history->at_us >= UINT64_MAX / 2u) {
		return -EINVAL;
	}
	for (size_t window = 0u; window < THECAL_INTERLOCK_ARMED_WINDOWS; window++) {
		uint64_t sum = 0u;

		for (size_t place = 0u; place < THECAL_INTERLOCK_BUCKETS; place++) {
			sum += history->buckets[window][place];
		}
		if (sum > UINT32_MAX) {
			return -EINVAL;
		}
	}
	set64(&interlock->earlier_us, history->at_us > at_us ? history->at_us - at_us : 0u);
	for (size_t index = THECAL_INTERLOCK_HOUR; index < THECAL_INTERLOCK_WINDOWS; index++) {
		struct thecal_interlock_window *window = &interlock->windows[index];
		uint32_t sum = 0u;

		set64(&window->newest, history->at_us / window->width_us.value);
		for (size_t place = 0u; place < THECAL_INTERLOCK_BUCKETS; place++) {
			const uint32_t steps = history->buckets[index - THECAL_INTERLOCK_HOUR][place];

			set32(&window->buckets[place], steps);
			sum += steps;
		}
		set32(&window->sum_steps, sum);
	}
	interlock->allowances = history->allowances;
	guard_allowances(interlock);
	return 0;
}
