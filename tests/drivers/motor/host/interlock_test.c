/*
 * The interlock: states, boundaries, a brute-force oracle for the rolling window, and every bit of it flipped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "thecal/interlock.h"

#define SECOND_US 1000000u
#define HOUR_US   (3600u * (uint64_t)SECOND_US)
#define DAY_US    (24u * HOUR_US)

enum { STATES = 4 };

/* Opened with a hard ceiling, and armed with allowances that are none: what the hard ceiling does by itself. */
static int32_t open_and_arm(struct thecal_interlock *interlock, uint32_t ceiling_steps, uint32_t window_ms)
{
	const int32_t refusal = thecal_interlock_open(interlock, ceiling_steps, window_ms);

	return refusal != 0 ? refusal : thecal_interlock_arm(interlock, 0u, UINT32_MAX, UINT32_MAX);
}

/* Bring an interlock into each of its states. */
static struct thecal_interlock in_state(uint16_t state)
{
	struct thecal_interlock interlock;

	thecal_interlock_init(&interlock);
	if (state != THECAL_INTERLOCK_CLOSED) {
		CHECK_EQUAL(open_and_arm(&interlock, 10u, 1000u), 0);
	}
	if (state == THECAL_INTERLOCK_TRIPPED) {
		interlock.windows[0].sum_steps.value ^= 1u;
	}
	if (state == THECAL_INTERLOCK_OFF) {
		thecal_interlock_shut(&interlock);
	}
	CHECK_EQUAL(thecal_interlock_state(&interlock), state);
	return interlock;
}

static void only_an_open_gate_lets_a_step_through(void)
{
	for (uint16_t state = 0u; state < STATES; state++) {
		const bool open = state == THECAL_INTERLOCK_OPEN;
		struct thecal_interlock interlock = in_state(state);

		for (uint64_t at_us = 0u; at_us < 5u; at_us++) {
			CHECK_EQUAL(thecal_interlock_permit(&interlock, at_us, 1u), open ? 0 : -EACCES);
			CHECK_EQUAL(thecal_interlock_count(&interlock, at_us, 1u), open ? 0 : -EACCES);
			CHECK_EQUAL(thecal_interlock_take_step(&interlock, at_us), open ? 0 : -EACCES);
		}
		CHECK_EQUAL(thecal_interlock_state(&interlock), state);
	}
}

static void it_opens_once_a_boot_and_from_closed_alone(void)
{
	for (uint16_t state = 0u; state < STATES; state++) {
		struct thecal_interlock interlock = in_state(state);
		const bool first = state == THECAL_INTERLOCK_CLOSED;

		CHECK_EQUAL(thecal_interlock_open(&interlock, 1000000u, 1u), first ? 0 : -EACCES);
		CHECK_EQUAL(thecal_interlock_open(&interlock, 1000000u, 1u), -EACCES);
		CHECK_EQUAL(thecal_interlock_state(&interlock), first ? THECAL_INTERLOCK_OPEN : state);
		if (state == THECAL_INTERLOCK_OPEN) {
			/* The first ceiling holds. */
			CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 10u), 0);
			CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 11u), -EPERM);
		}
	}
}

static void a_ceiling_of_nothing_does_not_open_it(void)
{
	struct thecal_interlock interlock;

	thecal_interlock_init(&interlock);
	CHECK_EQUAL(thecal_interlock_open(&interlock, 0u, 1000u), -EINVAL);
	CHECK_EQUAL(thecal_interlock_open(&interlock, 10u, 0u), -EINVAL);
	CHECK_EQUAL(thecal_interlock_open(&interlock, 0u, 0u), -EINVAL);
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_CLOSED);
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, 0u), -EACCES);
	CHECK_EQUAL(open_and_arm(&interlock, 1u, 1u), 0);
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, 0u), 0);
}

static void off_is_for_good_and_tripped_stays_tripped(void)
{
	for (uint16_t state = 0u; state < STATES; state++) {
		struct thecal_interlock interlock = in_state(state);
		const uint16_t wanted =
			state == THECAL_INTERLOCK_TRIPPED ? THECAL_INTERLOCK_TRIPPED : THECAL_INTERLOCK_OFF;

		thecal_interlock_shut(&interlock);
		thecal_interlock_shut(&interlock);
		CHECK_EQUAL(thecal_interlock_state(&interlock), wanted);
		CHECK_EQUAL(thecal_interlock_open(&interlock, 10u, 1000u), -EACCES);
		CHECK_EQUAL(thecal_interlock_take_step(&interlock, 0u), -EACCES);
	}
}

static void memory_never_made_lets_nothing_through(void)
{
	uint64_t chance = 3u;
	struct thecal_interlock interlock;

	for (unsigned fill = 0u; fill < 256u; fill++) {
		memset(&interlock, (int)fill, sizeof(interlock));
		CHECK_EQUAL(thecal_interlock_take_step(&interlock, 0u), -EACCES);
		memset(&interlock, (int)fill, sizeof(interlock));
		CHECK_EQUAL(thecal_interlock_open(&interlock, 10u, 10u), -EACCES);
		CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_TRIPPED);
	}
	for (unsigned round = 0u; round < 1000u; round++) {
		for (size_t at = 0u; at < sizeof(interlock); at++) {
			((uint8_t *)&interlock)[at] = (uint8_t)test_random(&chance);
		}
		CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 1u), -EACCES);
		CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_TRIPPED);
	}
	/* A state word that agrees with its complement but names no state. */
	thecal_interlock_init(&interlock);
	interlock.state.value = 1u;
	interlock.state.complement = ~1u;
	CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 1u), -EACCES);
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_TRIPPED);
}

static void the_ceiling_is_met_exactly(void)
{
	static const uint32_t ceilings[] = {1u, 2u, 3u, 24u, 25u, 26u, 499u, 500u, 501u, 1000u};

	for (size_t index = 0u; index < COUNT_OF(ceilings); index++) {
		const uint32_t ceiling = ceilings[index];
		struct thecal_interlock interlock;

		thecal_interlock_init(&interlock);
		CHECK_EQUAL(open_and_arm(&interlock, ceiling, 3600000u), 0);
		for (uint32_t made = 0u; made < ceiling; made++) {
			const uint32_t room = ceiling - made;

			CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 0u), 0);
			CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, room - 1u), 0);
			CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, room), 0);
			CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, room + 1u), -EPERM);
			CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, UINT32_MAX), -EPERM);
			CHECK_EQUAL(thecal_interlock_take_step(&interlock, made), 0);
		}
		for (unsigned again = 0u; again < 3u; again++) {
			CHECK_EQUAL(thecal_interlock_take_step(&interlock, 0u), -EPERM);
			CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 1u), -EPERM);
		}
		/* A refusal is no trip and makes no step. */
		CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_OPEN);
		CHECK_EQUAL(interlock.windows[0].sum_steps.value, ceiling);
	}
}

static void the_largest_ceiling_does_not_wrap(void)
{
	struct thecal_interlock interlock;

	thecal_interlock_init(&interlock);
	CHECK_EQUAL(open_and_arm(&interlock, UINT32_MAX, UINT32_MAX), 0);
	CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, UINT32_MAX), 0);
	CHECK_EQUAL(thecal_interlock_count(&interlock, 0u, UINT32_MAX - 1u), 0);
	CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 2u), -EPERM);
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, 0u), 0);
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, 0u), -EPERM);
	CHECK_EQUAL(thecal_interlock_count(&interlock, 0u, UINT32_MAX), -EPERM);
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_TRIPPED);
}

static void more_steps_than_allowed_trip_it(void)
{
	struct thecal_interlock interlock = in_state(THECAL_INTERLOCK_OPEN);

	CHECK_EQUAL(thecal_interlock_count(&interlock, 0u, 10u), 0);
	CHECK_EQUAL(thecal_interlock_count(&interlock, 0u, 0u), 0);
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_OPEN);
	CHECK_EQUAL(thecal_interlock_count(&interlock, 0u, 1u), -EPERM);
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_TRIPPED);
	CHECK_EQUAL(thecal_interlock_permit(&interlock, UINT64_MAX, 1u), -EACCES);
}

/* All the steps of one instant leave the sum together: when? */
static void a_step_leaves_the_window_neither_early_nor_much_later(void)
{
	static const uint32_t windows_ms[] = {1u, 23u, 24u, 25u, 1000u, 3600000u, UINT32_MAX};
	static const uint64_t starts_us[] = {0u, 1u, 999u, 1000u, 123456789u, 1ull << 52};

	for (size_t w = 0u; w < COUNT_OF(windows_ms); w++) {
		const uint64_t window_us = (uint64_t)windows_ms[w] * 1000u;
		const uint64_t width_us = (window_us + THECAL_INTERLOCK_BUCKETS - 2u) / (THECAL_INTERLOCK_BUCKETS - 1u);

		for (size_t s = 0u; s < COUNT_OF(starts_us); s++) {
			const uint64_t start_us = starts_us[s];
			/* Where the bucket of the start ends, 24 buckets on. */
			const uint64_t leaves_us =
				(start_us / width_us + THECAL_INTERLOCK_BUCKETS) * width_us;

			for (int64_t offset = -3; offset <= 3; offset++) {
				const uint64_t near_us[] = {start_us + window_us / 2u, start_us + window_us,
							    leaves_us};

				for (size_t n = 0u; n < COUNT_OF(near_us); n++) {
					const uint64_t at_us = near_us[n] + (uint64_t)offset;
					struct thecal_interlock interlock;

					thecal_interlock_init(&interlock);
					CHECK_EQUAL(open_and_arm(&interlock, 2u, windows_ms[w]), 0);
					CHECK_EQUAL(thecal_interlock_take_step(&interlock, start_us), 0);
					CHECK_EQUAL(thecal_interlock_take_step(&interlock, start_us), 0);
					CHECK_EQUAL(thecal_interlock_permit(&interlock, at_us, 1u),
						    at_us >= leaves_us ? 0 : -EPERM);
					CHECK_EQUAL(thecal_interlock_take_step(&interlock, at_us),
						    at_us >= leaves_us ? 0 : -EPERM);
				}
			}
			CHECK(leaves_us > start_us + window_us);
			CHECK(leaves_us <= start_us + window_us + 2u * width_us + THECAL_INTERLOCK_BUCKETS);
		}
	}
}

/* Steps of the made times that lie in (at - length, at]. */
static uint32_t made_within(const uint64_t *made, size_t count, uint64_t at_us, uint64_t length_us)
{
	uint32_t within = 0u;

	for (size_t back = count; back > 0u; back--) {
		if (made[back - 1u] + length_us <= at_us) {
			break;
		}
		within++;
	}
	return within;
}

/*
 * Random trains of steps, some in bursts, some with long pauses, against the definition: count the made steps one by
 * one. No window may ever hold more than the ceiling; no step may be refused that the buckets had room for.
 */
static void no_rolling_window_ever_holds_more_than_the_ceiling(void)
{
	enum { ATTEMPTS = 6000 };
	static const uint32_t ceilings[] = {1u, 2u, 7u, 100u, 1000u};
	static const uint32_t windows_ms[] = {1u, 7u, 23u, 24u, 25u, 1000u, 3600000u};
	static uint64_t made[ATTEMPTS];
	uint64_t chance = 1u;
	uint32_t refused = 0u;
	uint32_t allowed = 0u;

	for (size_t c = 0u; c < COUNT_OF(ceilings); c++) {
		for (size_t w = 0u; w < COUNT_OF(windows_ms); w++) {
			const uint64_t window_us = (uint64_t)windows_ms[w] * 1000u;
			const uint64_t width_us =
				(window_us + THECAL_INTERLOCK_BUCKETS - 2u) / (THECAL_INTERLOCK_BUCKETS - 1u);
			struct thecal_interlock interlock;
			uint64_t now_us = test_random(&chance) % window_us;
			size_t count = 0u;

			thecal_interlock_init(&interlock);
			CHECK_EQUAL(open_and_arm(&interlock, ceilings[c], windows_ms[w]), 0);
			for (unsigned attempt = 0u; attempt < ATTEMPTS; attempt++) {
				/* On the average twice as fast as the ceiling allows, in three manners. */
				const uint64_t pace_us = window_us / ceilings[c] + 1u;
				const uint64_t manner = test_random(&chance) % 50u;
				uint64_t oldest_us;
				int32_t answer;

				now_us += manner == 0u   ? test_random(&chance) % (3u * window_us)
					  : manner < 25u ? test_random(&chance) % pace_us
							 : test_random(&chance) % 3u;
				answer = thecal_interlock_take_step(&interlock, now_us);
				if (answer == 0) {
					made[count++] = now_us;
					allowed++;
					CHECK(made_within(made, count, now_us, window_us) <= ceilings[c]);
				} else {
					CHECK_EQUAL(answer, -EPERM);
					refused++;
					/* The oldest bucket begins here; all since fills the ceiling. */
					oldest_us = now_us / width_us;
					oldest_us = oldest_us < THECAL_INTERLOCK_BUCKETS
							    ? 0u
							    : (oldest_us - THECAL_INTERLOCK_BUCKETS + 1u) * width_us;
					CHECK(made_within(made, count, now_us, now_us - oldest_us + 1u) >=
					      ceilings[c]);
				}
			}
			CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_OPEN);
		}
	}
	/* The trains tested both answers. */
	CHECK(refused > 10000u);
	CHECK(allowed > 10000u);
}

/* Hardware accounts whole orders: permit before, count later. A permitted order never trips. */
static void what_was_permitted_can_be_counted(void)
{
	enum { ORDERS = 3000 };
	static uint64_t made[ORDERS];
	static uint32_t steps[ORDERS];
	uint64_t chance = 5u;
	struct thecal_interlock interlock;
	uint64_t now_us = 0u;
	size_t count = 0u;
	uint32_t refused = 0u;
	const uint64_t window_us = 1000000u;

	thecal_interlock_init(&interlock);
	CHECK_EQUAL(open_and_arm(&interlock, 1000u, 1000u), 0);
	for (unsigned order = 0u; order < ORDERS; order++) {
		const uint32_t wanted = (uint32_t)(test_random(&chance) % 501u);
		const int32_t answer = thecal_interlock_permit(&interlock, now_us, wanted);

		if (answer == 0) {
			uint64_t sum = 0u;

			/* The steps were made by now, some time later. */
			now_us += test_random(&chance) % 200000u;
			CHECK_EQUAL(thecal_interlock_count(&interlock, now_us, wanted), 0);
			made[count] = now_us;
			steps[count++] = wanted;
			for (size_t back = count; back > 0u && made[back - 1u] + window_us > now_us; back--) {
				sum += steps[back - 1u];
			}
			CHECK(sum <= 1000u);
		} else {
			CHECK_EQUAL(answer, -EPERM);
			refused++;
			now_us += test_random(&chance) % 400000u;
		}
	}
	CHECK(refused > 100u);
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_OPEN);
}

static void asking_about_the_future_changes_nothing(void)
{
	struct thecal_interlock interlock = in_state(THECAL_INTERLOCK_OPEN);
	struct thecal_interlock before;

	CHECK_EQUAL(thecal_interlock_count(&interlock, 0u, 10u), 0);
	before = interlock;
	CHECK_EQUAL(thecal_interlock_permit(&interlock, UINT64_MAX, 10u), 0);
	CHECK_EQUAL(thecal_interlock_permit(&interlock, UINT64_MAX, 11u), -EPERM);
	CHECK_EQUAL(thecal_interlock_permit(&interlock, 1u, 1u), -EPERM);
	CHECK(memcmp(&before, &interlock, sizeof(before)) == 0);
}

static void time_that_goes_back_forgets_nothing(void)
{
	struct thecal_interlock interlock = in_state(THECAL_INTERLOCK_OPEN);
	const uint64_t later_us = 10000000u;

	CHECK_EQUAL(thecal_interlock_count(&interlock, later_us, 6u), 0);
	/* Long before: still held against the ceiling together. */
	CHECK_EQUAL(thecal_interlock_count(&interlock, 0u, 3u), 0);
	CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 2u), -EPERM);
	CHECK_EQUAL(thecal_interlock_permit(&interlock, later_us, 2u), -EPERM);
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, 1u), 0);
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, 1u), -EPERM);
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, later_us + 999999u), -EPERM);
}

static void the_end_of_time_is_a_time(void)
{
	static const uint64_t times_us[] = {0u, 1u, UINT64_MAX / 2u, UINT64_MAX - 1u, UINT64_MAX};
	static const uint32_t windows_ms[] = {1u, 3600000u, UINT32_MAX};

	for (size_t w = 0u; w < COUNT_OF(windows_ms); w++) {
		struct thecal_interlock interlock;

		thecal_interlock_init(&interlock);
		CHECK_EQUAL(open_and_arm(&interlock, 2u, windows_ms[w]), 0);
		for (size_t t = 0u; t < COUNT_OF(times_us); t++) {
			(void)thecal_interlock_take_step(&interlock, times_us[t]);
			CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_OPEN);
		}
		CHECK_EQUAL(thecal_interlock_take_step(&interlock, UINT64_MAX), -EPERM);
	}
}

/* A used interlock: something in several buckets. */
static struct thecal_interlock used(void)
{
	struct thecal_interlock interlock;

	thecal_interlock_init(&interlock);
	CHECK_EQUAL(open_and_arm(&interlock, 100u, 60000u), 0);
	for (uint64_t second = 0u; second < 70u; second++) {
		CHECK_EQUAL(thecal_interlock_take_step(&interlock, second * 1000000u), 0);
	}
	return interlock;
}

static void any_flipped_bit_closes_it_for_good(void)
{
	const struct thecal_interlock good = used();
	const uint64_t now_us = 69500000u;

	for (size_t bit = 0u; bit < sizeof(good) * 8u; bit++) {
		struct thecal_interlock asked = good;
		struct thecal_interlock stepped = good;
		struct thecal_interlock looked = good;
		const uint8_t mask = (uint8_t)(1u << (bit % 8u));

		((uint8_t *)&asked)[bit / 8u] ^= mask;
		CHECK_EQUAL(thecal_interlock_permit(&asked, now_us, 1u), -EACCES);
		CHECK_EQUAL(thecal_interlock_state(&asked), THECAL_INTERLOCK_TRIPPED);

		/* A step looks at every bucket when it opens a new one: an hour on, in each window. */
		((uint8_t *)&stepped)[bit / 8u] ^= mask;
		CHECK_EQUAL(thecal_interlock_take_step(&stepped, now_us + HOUR_US), -EACCES);
		CHECK_EQUAL(thecal_interlock_state(&stepped), THECAL_INTERLOCK_TRIPPED);

		((uint8_t *)&looked)[bit / 8u] ^= mask;
		CHECK_EQUAL(thecal_interlock_state(&looked), THECAL_INTERLOCK_TRIPPED);
		/* The bit turning back heals nothing (unless it was the state word, which is another one now). */
		if (bit / 8u < offsetof(struct thecal_interlock, state) ||
		    bit / 8u >= offsetof(struct thecal_interlock, allowances)) {
			((uint8_t *)&looked)[bit / 8u] ^= mask;
		}
		CHECK_EQUAL(thecal_interlock_permit(&looked, now_us, 1u), -EACCES);
		CHECK_EQUAL(thecal_interlock_count(&looked, now_us, 1u), -EACCES);
		CHECK_EQUAL(thecal_interlock_open(&looked, 1u, 1u), -EACCES);
	}
}

/* The words a step cannot do without are looked at for every step, also within a bucket. */
static void a_flipped_bit_in_use_stops_the_very_next_step(void)
{
	const struct thecal_interlock good = used();
	const uint64_t now_us = 69500000u;
	const size_t current = now_us / 2500000u % THECAL_INTERLOCK_BUCKETS;
	const size_t begin = offsetof(struct thecal_interlock_window, buckets) +
			     current * sizeof(struct thecal_guarded32);

	for (size_t byte = 0u; byte < sizeof(good); byte++) {
		const bool header = byte < offsetof(struct thecal_interlock_window, buckets);
		const bool bucket = byte >= begin && byte < begin + sizeof(struct thecal_guarded32);
		const bool state = byte >= offsetof(struct thecal_interlock, state);
		struct thecal_interlock stepped = good;
		struct thecal_interlock counted = good;

		if (!header && !bucket && !state) {
			continue;
		}
		((uint8_t *)&stepped)[byte] ^= 0x10u;
		CHECK_EQUAL(thecal_interlock_take_step(&stepped, now_us), -EACCES);
		CHECK_EQUAL(thecal_interlock_state(&stepped), THECAL_INTERLOCK_TRIPPED);
		((uint8_t *)&counted)[byte] ^= 0x10u;
		CHECK_EQUAL(thecal_interlock_count(&counted, now_us, 1u), -EACCES);
	}
}

/* Both copies changed alike, so that the pairs agree: the sum and the buckets still contradict each other. */
static void a_bucket_lost_with_its_complement_is_noticed(void)
{
	struct thecal_interlock interlock = used();

	interlock.windows[0].buckets[3].value = 0u;
	interlock.windows[0].buckets[3].complement = UINT32_MAX;
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_TRIPPED);

	interlock = used();
	interlock.windows[0].sum_steps.value = 0u;
	interlock.windows[0].sum_steps.complement = UINT32_MAX;
	CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 1u), -EACCES);

	interlock = used();
	interlock.windows[0].width_us.value = 0u;
	interlock.windows[0].width_us.complement = UINT64_MAX;
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, 69500000u), -EACCES);

	/* A sum above its ceiling cannot have come about. */
	interlock = used();
	interlock.windows[0].ceiling_steps.value = 5u;
	interlock.windows[0].ceiling_steps.complement = ~5u;
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, 69500000u), -EACCES);
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_TRIPPED);
}

/* ---- The armed ceiling ---- */

#define HOUR_REMEMBERED_US ((uint64_t)THECAL_INTERLOCK_HOUR_REMEMBERED_S * SECOND_US)
#define DAY_REMEMBERED_US  ((uint64_t)THECAL_INTERLOCK_DAY_REMEMBERED_S * SECOND_US)
/* How much longer than a step is remembered a credit lasts. */
#define NOTICE_US (120u * (uint64_t)SECOND_US)

/* Under a hard ceiling that is never met. */
static struct thecal_interlock opened(void)
{
	struct thecal_interlock interlock;

	thecal_interlock_init(&interlock);
	CHECK_EQUAL(thecal_interlock_open(&interlock, UINT32_MAX, 1000u), 0);
	return interlock;
}

static struct thecal_interlock armed(uint32_t hour_steps, uint32_t day_steps)
{
	struct thecal_interlock interlock = opened();

	CHECK_EQUAL(thecal_interlock_arm(&interlock, 0u, hour_steps, day_steps), 0);
	return interlock;
}

/* The room there is for steps at a time: asked for, and not a step more. */
static uint32_t room(struct thecal_interlock *interlock, uint64_t at_us)
{
	uint32_t low = 0u;
	uint32_t high = UINT32_MAX;

	if (thecal_interlock_permit(interlock, at_us, 0u) != 0) {
		return 0u;
	}
	while (low < high) {
		const uint32_t middle = high - (high - low) / 2u;

		if (thecal_interlock_permit(interlock, at_us, middle) == 0) {
			low = middle;
		} else {
			high = middle - 1u;
		}
	}
	return low;
}

static void without_an_allowance_there_is_no_step(void)
{
	struct thecal_interlock interlock = opened();

	CHECK_EQUAL(thecal_interlock_armed(&interlock), 0);
	CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 0u), -ENOENT);
	CHECK_EQUAL(thecal_interlock_confirm(&interlock, 0u, 1u), -ENOENT);
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, 0u), -ENOENT);
	CHECK_EQUAL(thecal_interlock_count(&interlock, 0u, 0u), -ENOENT);
	CHECK_EQUAL(thecal_interlock_grant(&interlock, 0u, 1u, 1u), -ENOENT);
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_OPEN);
	CHECK_EQUAL(thecal_interlock_arm(&interlock, 0u, 1u, 1u), 0);
	CHECK_EQUAL(thecal_interlock_armed(&interlock), 1);
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, 0u), 0);

	/* Steps that nobody could have made. */
	interlock = opened();
	CHECK_EQUAL(thecal_interlock_count(&interlock, 0u, 1u), -ENOENT);
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_TRIPPED);
}

static void it_is_armed_while_open_alone(void)
{
	for (uint16_t state = 0u; state < STATES; state++) {
		struct thecal_interlock interlock = in_state(state);
		const bool open = state == THECAL_INTERLOCK_OPEN;

		CHECK_EQUAL(thecal_interlock_arm(&interlock, 0u, 5u, 5u), open ? 0 : -EACCES);
		CHECK_EQUAL(thecal_interlock_grant(&interlock, 0u, 5u, 5u), open ? 0 : -EACCES);
		CHECK_EQUAL(thecal_interlock_state(&interlock), state);
	}
}

static void a_day_has_no_less_than_an_hour(void)
{
	struct thecal_interlock interlock = opened();
	struct thecal_interlock before = interlock;

	CHECK_EQUAL(thecal_interlock_arm(&interlock, 0u, 8u, 7u), -EINVAL);
	CHECK(memcmp(&before, &interlock, sizeof(before)) == 0);
	CHECK_EQUAL(thecal_interlock_arm(&interlock, 0u, 8u, 8u), 0);
	interlock = armed(0u, 0u);
	CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 0u), 0);
	CHECK_EQUAL(thecal_interlock_permit(&interlock, 0u, 1u), -ENOSPC);
}

static void an_allowance_is_met_exactly_and_a_step_more_trips(void)
{
	for (unsigned by_the_day = 0u; by_the_day < 2u; by_the_day++) {
		/* The one that is to be met, and the other a step above it; both are asked for the same steps. */
		struct thecal_interlock interlock = by_the_day != 0u ? armed(10u, 10u) : armed(10u, 11u);
		struct thecal_interlock counted = interlock;
		struct thecal_interlock loaded = interlock;

		for (uint32_t made = 0u; made < 10u; made++) {
			CHECK_EQUAL(room(&interlock, 0u), 10u - made);
			CHECK_EQUAL(thecal_interlock_take_step(&interlock, made), 0);
		}
		/* To ask is no harm. */
		CHECK_EQUAL(thecal_interlock_permit(&interlock, 10u, 1u), -ENOSPC);
		CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_OPEN);
		CHECK_EQUAL(thecal_interlock_take_step(&interlock, 10u), -ENOSPC);
		CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_TRIPPED);
		CHECK_EQUAL(thecal_interlock_take_step(&interlock, 2u * DAY_US), -EACCES);

		CHECK_EQUAL(thecal_interlock_confirm(&loaded, 0u, 10u), 0);
		CHECK_EQUAL(thecal_interlock_count(&counted, 0u, 10u), 0);
		CHECK_EQUAL(thecal_interlock_count(&counted, 0u, 0u), 0);
		CHECK_EQUAL(thecal_interlock_state(&counted), THECAL_INTERLOCK_OPEN);
		CHECK_EQUAL(thecal_interlock_count(&counted, 0u, 1u), -ENOSPC);
		CHECK_EQUAL(thecal_interlock_state(&counted), THECAL_INTERLOCK_TRIPPED);
		CHECK_EQUAL(thecal_interlock_confirm(&loaded, 0u, 11u), -ENOSPC);
		CHECK_EQUAL(thecal_interlock_state(&loaded), THECAL_INTERLOCK_TRIPPED);
	}
}

static void the_hard_ceiling_holds_under_any_allowance(void)
{
	struct thecal_interlock interlock;

	thecal_interlock_init(&interlock);
	CHECK_EQUAL(open_and_arm(&interlock, 3u, 1000u), 0);
	CHECK_EQUAL(thecal_interlock_grant(&interlock, 0u, UINT32_MAX, 1u), 0);
	CHECK_EQUAL(room(&interlock, 0u), 3u);
	CHECK_EQUAL(thecal_interlock_confirm(&interlock, 0u, 4u), -EPERM);
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_OPEN);
}

/* A step is remembered for the window at least, and until the bucket it fell into has left it. */
static void hour_and_day_remember_as_long_as_they_say(void)
{
	static const uint64_t starts_us[] = {0u, 1u, 149u * SECOND_US, 150u * SECOND_US, 3599999999u, 12345678901u};

	for (size_t s = 0u; s < COUNT_OF(starts_us); s++) {
		const uint64_t hour_leaves_us = starts_us[s] / (150u * SECOND_US) * (150u * SECOND_US) + HOUR_REMEMBERED_US;
		const uint64_t day_leaves_us = starts_us[s] / HOUR_US * HOUR_US + DAY_REMEMBERED_US;
		struct thecal_interlock hour = armed(1u, UINT32_MAX);
		struct thecal_interlock day = armed(1u, 1u);

		CHECK(hour_leaves_us > starts_us[s] + HOUR_US && hour_leaves_us <= starts_us[s] + HOUR_REMEMBERED_US);
		CHECK(day_leaves_us > starts_us[s] + DAY_US && day_leaves_us <= starts_us[s] + DAY_REMEMBERED_US);
		CHECK_EQUAL(thecal_interlock_take_step(&hour, starts_us[s]), 0);
		CHECK_EQUAL(thecal_interlock_permit(&hour, hour_leaves_us - 1u, 1u), -ENOSPC);
		CHECK_EQUAL(thecal_interlock_permit(&hour, hour_leaves_us, 1u), 0);
		CHECK_EQUAL(thecal_interlock_take_step(&day, starts_us[s]), 0);
		CHECK_EQUAL(thecal_interlock_permit(&day, day_leaves_us - 1u, 1u), -ENOSPC);
		CHECK_EQUAL(thecal_interlock_permit(&day, day_leaves_us, 1u), 0);
	}
}

static void arming_again_forgets_no_step(void)
{
	struct thecal_interlock interlock = armed(10u, 20u);

	CHECK_EQUAL(thecal_interlock_count(&interlock, 5u * SECOND_US, 8u), 0);
	for (unsigned again = 0u; again < 100u; again++) {
		CHECK_EQUAL(thecal_interlock_arm(&interlock, (6u + again) * SECOND_US, 10u, 20u), 0);
		CHECK_EQUAL(room(&interlock, (6u + again) * SECOND_US), 2u);
	}
	/* More is allowed at once. */
	CHECK_EQUAL(thecal_interlock_arm(&interlock, 200u * SECOND_US, 15u, 20u), 0);
	CHECK_EQUAL(room(&interlock, 200u * SECOND_US), 7u);
	CHECK_EQUAL(room(&interlock, HOUR_REMEMBERED_US), 12u);
}

/* A lower rate must not stop the therapy: what was made under the higher one was allowed. */
static void a_lower_allowance_waits_for_the_steps_made_under_the_higher(void)
{
	struct thecal_interlock interlock = armed(100u, 1000u);
	/* Rounded up to the next second. */
	const uint64_t at_us = 10u * SECOND_US;
	const uint64_t hour_us = 11u * SECOND_US + HOUR_REMEMBERED_US;
	const uint64_t day_us = 11u * SECOND_US + DAY_REMEMBERED_US;

	CHECK_EQUAL(thecal_interlock_arm(&interlock, at_us, 40u, 500u), 0);
	CHECK_EQUAL(room(&interlock, at_us), 100u);
	CHECK_EQUAL(room(&interlock, hour_us - 1u), 100u);
	CHECK_EQUAL(room(&interlock, hour_us), 40u);
	CHECK_EQUAL(thecal_interlock_arm(&interlock, at_us, 500u, 500u), 0);
	CHECK_EQUAL(room(&interlock, day_us - 1u), 500u);
	/* Of the two that fade the higher holds on, and of equal ones nothing begins again. */
	CHECK_EQUAL(thecal_interlock_arm(&interlock, at_us, 40u, 400u), 0);
	CHECK_EQUAL(thecal_interlock_arm(&interlock, at_us + HOUR_US, 40u, 400u), 0);
	CHECK_EQUAL(room(&interlock, hour_us - 1u), 500u);
	CHECK_EQUAL(room(&interlock, hour_us), 40u);
	CHECK_EQUAL(thecal_interlock_arm(&interlock, hour_us, 400u, 400u), 0);
	CHECK_EQUAL(room(&interlock, hour_us), 400u);

	/* The day's, with an hour that does not matter. */
	interlock = armed(1000u, 1000u);
	CHECK_EQUAL(thecal_interlock_arm(&interlock, at_us, 300u, 300u), 0);
	CHECK_EQUAL(thecal_interlock_arm(&interlock, at_us + SECOND_US, 200u, 200u), 0);
	CHECK_EQUAL(thecal_interlock_count(&interlock, hour_us, 200u), 0);
	CHECK_EQUAL(thecal_interlock_count(&interlock, hour_us + 2u * HOUR_US, 200u), 0);
	CHECK_EQUAL(thecal_interlock_permit(&interlock, day_us + SECOND_US - 1u, 200u), 0);
	/* When it has faded there are more steps than it allows: no room, and no damage either. */
	CHECK_EQUAL(thecal_interlock_permit(&interlock, day_us + SECOND_US, 0u), -ENOSPC);
	CHECK_EQUAL(thecal_interlock_count(&interlock, day_us + NOTICE_US + SECOND_US, 0u), 0);
	CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_OPEN);
	CHECK_EQUAL(thecal_interlock_take_step(&interlock, day_us + NOTICE_US + SECOND_US), -ENOSPC);
}

static void a_grant_adds_to_both_windows_and_runs_out(void)
{
	struct thecal_interlock hour = armed(10u, UINT32_MAX);
	struct thecal_interlock day = armed(10u, 10u);
	const uint64_t until_us = (1u + 600u) * (uint64_t)SECOND_US;

	CHECK_EQUAL(thecal_interlock_grant(&hour, 999999u, 7u, 600u), 0);
	CHECK_EQUAL(thecal_interlock_grant(&day, 999999u, 7u, 600u), 0);
	CHECK_EQUAL(room(&hour, 0u), 17u);
	CHECK_EQUAL(room(&hour, until_us + HOUR_REMEMBERED_US - 1u), 17u);
	CHECK_EQUAL(room(&hour, until_us + HOUR_REMEMBERED_US), 10u);
	CHECK_EQUAL(room(&day, 0u), 17u);
	/* Steps made at its end have left when it runs out. */
	CHECK_EQUAL(thecal_interlock_count(&hour, until_us, 17u), 0);
	CHECK_EQUAL(room(&hour, until_us + HOUR_REMEMBERED_US), 10u);

	/* What was promised two minutes ahead holds when it is loaded, and when it is made. */
	CHECK_EQUAL(thecal_interlock_confirm(&day, until_us + HOUR_REMEMBERED_US + NOTICE_US - 65u * SECOND_US - 1u, 17u), 0);
	CHECK_EQUAL(thecal_interlock_permit(&day, until_us + HOUR_REMEMBERED_US + NOTICE_US - 65u * SECOND_US - 1u, 17u),
		    -ENOSPC);
	CHECK_EQUAL(thecal_interlock_count(&day, until_us + HOUR_REMEMBERED_US + NOTICE_US - 1u, 17u), 0);
	CHECK_EQUAL(thecal_interlock_state(&day), THECAL_INTERLOCK_OPEN);
	day = armed(UINT32_MAX, UINT32_MAX);
	CHECK_EQUAL(thecal_interlock_arm(&day, 0u, 10u, 10u), 0);
	CHECK_EQUAL(thecal_interlock_grant(&day, 0u, 7u, 600u), 0);
	/* The day's credit holds on when the hour's has gone. */
	CHECK_EQUAL(thecal_interlock_count(&day, 0u, 17u), 0);
	CHECK_EQUAL(thecal_interlock_permit(&day, 601u * SECOND_US + DAY_REMEMBERED_US, 10u), 0);
	CHECK_EQUAL(thecal_interlock_permit(&day, 601u * SECOND_US + DAY_REMEMBERED_US, 11u), -ENOSPC);
}

static void grants_are_few_and_bounded(void)
{
	struct thecal_interlock interlock = armed(10u, 10u);
	struct thecal_interlock before;

	CHECK_EQUAL(thecal_interlock_grant(&interlock, 0u, 0u, 1u), -EINVAL);
	CHECK_EQUAL(thecal_interlock_grant(&interlock, 0u, 1u, THECAL_INTERLOCK_LONGEST_GRANT_S + 1u), -EINVAL);
	CHECK_EQUAL(room(&interlock, 0u), 10u);
	for (uint32_t number = 1u; number <= THECAL_INTERLOCK_GRANTS; number++) {
		CHECK_EQUAL(thecal_interlock_grant(&interlock, 0u, 5u, number == 1u ? 0u : THECAL_INTERLOCK_LONGEST_GRANT_S),
			    0);
		CHECK_EQUAL(room(&interlock, 0u), 10u + 5u * number);
	}
	before = interlock;
	CHECK_EQUAL(thecal_interlock_grant(&interlock, 0u, 1u, 1u), -EBUSY);
	CHECK_EQUAL(thecal_interlock_grant(&interlock, SECOND_US + DAY_REMEMBERED_US + NOTICE_US - 1u, 1u, 1u), -EBUSY);
	CHECK(memcmp(&before, &interlock, sizeof(before)) == 0);
	CHECK_EQUAL(thecal_interlock_grant(&interlock, SECOND_US + DAY_REMEMBERED_US + NOTICE_US, 1u, 1u), 0);
	/* No number wraps. */
	interlock = armed(UINT32_MAX, UINT32_MAX);
	CHECK_EQUAL(thecal_interlock_grant(&interlock, UINT64_MAX, UINT32_MAX, THECAL_INTERLOCK_LONGEST_GRANT_S), 0);
	CHECK_EQUAL(room(&interlock, UINT64_MAX), UINT32_MAX);
}

/* Days of basal steps and boluses under the smallest allowances they need: nothing is refused, nothing trips. */
static void therapy_within_its_allowance_is_never_refused(void)
{
	enum { MINUTES = 4 * 24 * 60, HOUR = 65, DAY = 26 * 60 };
	static uint32_t made[MINUTES];
	uint64_t chance = 9u;

	for (unsigned round = 0u; round < 20u; round++) {
		uint32_t hour_steps = 0u;
		uint32_t day_steps = 0u;
		struct thecal_interlock interlock;

		for (size_t minute = 0u; minute < MINUTES; minute++) {
			made[minute] = 2u + (test_random(&chance) % 200u == 0u ? 50u : 0u);
		}
		/* By the definition: the worst of what is remembered, counted one by one. */
		for (size_t first = 0u; first < MINUTES; first++) {
			uint32_t sum = 0u;

			for (size_t minute = first; minute < MINUTES && minute < first + DAY; minute++) {
				sum += made[minute];
				if (minute < first + HOUR && sum > hour_steps) {
					hour_steps = sum;
				}
			}
			day_steps = sum > day_steps ? sum : day_steps;
		}
		interlock = armed(hour_steps, day_steps);
		for (uint64_t minute = 0u; minute < MINUTES; minute++) {
			const uint64_t at_us = minute * 60u * SECOND_US;

			/* Twice a day a bolus of 300 steps within the half hour, authorised at that. */
			const uint64_t of_half_a_day = minute % (12u * 60u);
			const uint32_t steps = made[minute] + (of_half_a_day >= 100u && of_half_a_day < 130u ? 10u : 0u);

			if (of_half_a_day == 100u) {
				CHECK_EQUAL(thecal_interlock_grant(&interlock, at_us, 300u, 1800u), 0);
			}
			CHECK_EQUAL(thecal_interlock_permit(&interlock, at_us, steps), 0);
			CHECK_EQUAL(thecal_interlock_confirm(&interlock, at_us + SECOND_US, steps), 0);
			CHECK_EQUAL(thecal_interlock_count(&interlock, at_us + 59u * SECOND_US, steps), 0);
		}
		CHECK_EQUAL(thecal_interlock_state(&interlock), THECAL_INTERLOCK_OPEN);
	}
}

/* Both copies of an allowance changed alike: the CRC tells. */
static void an_allowance_changed_with_its_complement_is_noticed(void)
{
	const struct thecal_interlock good = armed(10u, 20u);

	for (size_t word = 0u; word < sizeof(good.allowances) / sizeof(uint32_t); word++) {
		for (unsigned bit = 0u; bit < 32u; bit++) {
			struct thecal_interlock asked = good;
			struct thecal_interlock stepped = good;

			((uint32_t *)&asked.allowances)[word] ^= 1u << bit;
			((uint32_t *)&asked.complement)[word] ^= 1u << bit;
			stepped.allowances = asked.allowances;
			stepped.complement = asked.complement;
			CHECK_EQUAL(thecal_interlock_permit(&asked, 0u, 1u), -EACCES);
			CHECK_EQUAL(thecal_interlock_count(&stepped, 0u, 1u), -EACCES);
			/* Made one by one: with the next bucket of any window. */
			stepped = good;
			stepped.allowances = asked.allowances;
			stepped.complement = asked.complement;
			CHECK_EQUAL(thecal_interlock_take_step(&stepped, 1000u * SECOND_US), -EACCES);
			CHECK_EQUAL(thecal_interlock_state(&stepped), THECAL_INTERLOCK_TRIPPED);
		}
	}
}

/* The CRC everyone knows, bit by bit. */
static void the_crc_is_that_of_ethernet(void)
{
	const struct thecal_interlock interlock = armed(123456u, 7654321u);
	const uint8_t *bytes = (const uint8_t *)&interlock.allowances;
	uint32_t crc = UINT32_MAX;

	for (size_t at = 0u; at < sizeof(interlock.allowances); at++) {
		crc ^= bytes[at];
		for (unsigned bit = 0u; bit < 8u; bit++) {
			crc = (crc >> 1) ^ ((crc & 1u) != 0u ? 0xEDB88320u : 0u);
		}
	}
	CHECK_EQUAL(interlock.crc.value, ~crc);
}

/* A reset at any time: the room afterwards is never more than it was, and grows as before from then on. */
static void a_restored_history_forgets_nothing(void)
{
	uint64_t chance = 11u;

	for (unsigned round = 0u; round < 300u; round++) {
		struct thecal_interlock before = armed(500u, 4000u);
		struct thecal_interlock after = opened();
		struct thecal_interlock_history history;
		uint64_t now_us = test_random(&chance) % (3u * DAY_US);
		const uint32_t coming = (uint32_t)(test_random(&chance) % 20u);
		const uint64_t boot_us = test_random(&chance) % (10u * SECOND_US);

		for (unsigned burst = 0u; burst < 50u; burst++) {
			const uint32_t most = room(&before, now_us);

			CHECK_EQUAL(thecal_interlock_count(&before, now_us, most == 0u ? 0u : (uint32_t)(test_random(&chance) % most)),
				    0);
			now_us += test_random(&chance) % (2u * HOUR_US);
			if (burst == 20u) {
				CHECK_EQUAL(thecal_interlock_grant(&before, now_us, 33u, 60u), 0);
				CHECK_EQUAL(thecal_interlock_arm(&before, now_us, 450u, 3900u), 0);
			}
		}
		CHECK_EQUAL(thecal_interlock_save(&before, now_us, coming, &history), 0);
		/* The steps on their way may be made or not. */
		CHECK_EQUAL(thecal_interlock_restore(&after, boot_us, &history), 0);
		CHECK_EQUAL(thecal_interlock_armed(&after), 1);
		CHECK_EQUAL(thecal_interlock_state(&after), THECAL_INTERLOCK_OPEN);
		for (unsigned look = 0u; look < 60u; look++) {
			const uint64_t later_us = look * (HOUR_US / 2u) + test_random(&chance) % HOUR_US;
			const uint32_t was = room(&before, now_us + later_us);
			const uint32_t is = room(&after, boot_us + later_us);

			CHECK(is <= was && is + coming >= was);
		}
		/* Saved again it is the same, whichever boot it is. */
		CHECK_EQUAL(thecal_interlock_save(&after, boot_us, 0u, &history), 0);
		after = opened();
		CHECK_EQUAL(thecal_interlock_restore(&after, 0u, &history), 0);
		CHECK(room(&after, 0u) <= room(&before, now_us));
		CHECK(room(&after, 0u) + coming >= room(&before, now_us));
	}
}

static void only_a_sound_history_is_saved_and_restored(void)
{
	struct thecal_interlock interlock = opened();
	struct thecal_interlock_history history;
	struct thecal_interlock_history wrong;

	CHECK_EQUAL(thecal_interlock_save(&interlock, 0u, 0u, &history), -ENOENT);
	interlock = armed(10u, 20u);
	CHECK_EQUAL(thecal_interlock_count(&interlock, 0u, 9u), 0);
	CHECK_EQUAL(thecal_interlock_save(&interlock, 0u, 1u, &history), 0);
	/* Armed already: what it knows now is newer. */
	CHECK_EQUAL(thecal_interlock_restore(&interlock, 0u, &history), -EACCES);
	/* Off, or tripped over the allowance: the steps were made all the same. */
	thecal_interlock_shut(&interlock);
	CHECK_EQUAL(thecal_interlock_save(&interlock, 0u, 0u, &wrong), 0);
	interlock = armed(10u, 20u);
	CHECK_EQUAL(thecal_interlock_count(&interlock, 0u, 11u), -ENOSPC);
	CHECK_EQUAL(thecal_interlock_save(&interlock, 0u, 0u, &wrong), 0);
	interlock.windows[THECAL_INTERLOCK_DAY].buckets[3].value ^= 8u;
	CHECK_EQUAL(thecal_interlock_save(&interlock, 0u, 0u, &wrong), -EACCES);

	for (uint16_t state = 0u; state < STATES; state++) {
		interlock = in_state(state);
		CHECK_EQUAL(thecal_interlock_restore(&interlock, 0u, &history), -EACCES);
	}
	interlock = opened();
	wrong = history;
	wrong.allowances.armed ^= 1u;
	CHECK_EQUAL(thecal_interlock_restore(&interlock, 0u, &wrong), -EINVAL);
	wrong = history;
	wrong.at_us = UINT64_MAX / 2u;
	CHECK_EQUAL(thecal_interlock_restore(&interlock, 0u, &wrong), -EINVAL);
	wrong = history;
	wrong.buckets[1][0] = UINT32_MAX;
	wrong.buckets[1][1] = 1u;
	CHECK_EQUAL(thecal_interlock_restore(&interlock, 0u, &wrong), -EINVAL);
	CHECK_EQUAL(thecal_interlock_armed(&interlock), 0);
	CHECK_EQUAL(thecal_interlock_restore(&interlock, 0u, &history), 0);
	CHECK_EQUAL(room(&interlock, 0u), 0u);
}

int main(void)
{
	RUN(only_an_open_gate_lets_a_step_through);
	RUN(it_opens_once_a_boot_and_from_closed_alone);
	RUN(a_ceiling_of_nothing_does_not_open_it);
	RUN(off_is_for_good_and_tripped_stays_tripped);
	RUN(memory_never_made_lets_nothing_through);
	RUN(the_ceiling_is_met_exactly);
	RUN(the_largest_ceiling_does_not_wrap);
	RUN(more_steps_than_allowed_trip_it);
	RUN(a_step_leaves_the_window_neither_early_nor_much_later);
	RUN(no_rolling_window_ever_holds_more_than_the_ceiling);
	RUN(what_was_permitted_can_be_counted);
	RUN(asking_about_the_future_changes_nothing);
	RUN(time_that_goes_back_forgets_nothing);
	RUN(the_end_of_time_is_a_time);
	RUN(any_flipped_bit_closes_it_for_good);
	RUN(a_flipped_bit_in_use_stops_the_very_next_step);
	RUN(a_bucket_lost_with_its_complement_is_noticed);
	RUN(without_an_allowance_there_is_no_step);
	RUN(it_is_armed_while_open_alone);
	RUN(a_day_has_no_less_than_an_hour);
	RUN(an_allowance_is_met_exactly_and_a_step_more_trips);
	RUN(the_hard_ceiling_holds_under_any_allowance);
	RUN(hour_and_day_remember_as_long_as_they_say);
	RUN(arming_again_forgets_no_step);
	RUN(a_lower_allowance_waits_for_the_steps_made_under_the_higher);
	RUN(a_grant_adds_to_both_windows_and_runs_out);
	RUN(grants_are_few_and_bounded);
	RUN(therapy_within_its_allowance_is_never_refused);
	RUN(an_allowance_changed_with_its_complement_is_noticed);
	RUN(the_crc_is_that_of_ethernet);
	RUN(a_restored_history_forgets_nothing);
	RUN(only_a_sound_history_is_saved_and_restored);
	return checked("interlock");
}
