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

enum { STATES = 4 };

/* Bring an interlock into each of its states. */
static struct thecal_interlock in_state(uint16_t state)
{
	struct thecal_interlock interlock;

	thecal_interlock_init(&interlock);
	if (state != THECAL_INTERLOCK_CLOSED) {
		CHECK_EQUAL(thecal_interlock_open(&interlock, 10u, 1000u), 0);
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
	CHECK_EQUAL(thecal_interlock_open(&interlock, 1u, 1u), 0);
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
	static const uint32_t ceilings[] = {1u, 2u, 3u, 60u, 61u, 62u, 499u, 500u, 501u, 1000u};

	for (size_t index = 0u; index < COUNT_OF(ceilings); index++) {
		const uint32_t ceiling = ceilings[index];
		struct thecal_interlock interlock;

		thecal_interlock_init(&interlock);
		CHECK_EQUAL(thecal_interlock_open(&interlock, ceiling, 3600000u), 0);
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
	CHECK_EQUAL(thecal_interlock_open(&interlock, UINT32_MAX, UINT32_MAX), 0);
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
	static const uint32_t windows_ms[] = {1u, 59u, 60u, 61u, 1000u, 3600000u, UINT32_MAX};
	static const uint64_t starts_us[] = {0u, 1u, 999u, 1000u, 123456789u, 1ull << 52};

	for (size_t w = 0u; w < COUNT_OF(windows_ms); w++) {
		const uint64_t window_us = (uint64_t)windows_ms[w] * 1000u;
		const uint64_t width_us = (window_us + THECAL_INTERLOCK_BUCKETS - 2u) / (THECAL_INTERLOCK_BUCKETS - 1u);

		for (size_t s = 0u; s < COUNT_OF(starts_us); s++) {
			const uint64_t start_us = starts_us[s];
			/* Where the bucket of the start ends, 60 buckets on. */
			const uint64_t leaves_us =
				(start_us / width_us + THECAL_INTERLOCK_BUCKETS) * width_us;

			for (int64_t offset = -3; offset <= 3; offset++) {
				const uint64_t near_us[] = {start_us + window_us / 2u, start_us + window_us,
							    leaves_us};

				for (size_t n = 0u; n < COUNT_OF(near_us); n++) {
					const uint64_t at_us = near_us[n] + (uint64_t)offset;
					struct thecal_interlock interlock;

					thecal_interlock_init(&interlock);
					CHECK_EQUAL(thecal_interlock_open(&interlock, 2u, windows_ms[w]), 0);
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
 * one. No window may ever hold more than the ceiling; no step may be refused that the 61 buckets had room for.
 */
static void no_rolling_window_ever_holds_more_than_the_ceiling(void)
{
	enum { ATTEMPTS = 6000 };
	static const uint32_t ceilings[] = {1u, 2u, 7u, 100u, 1000u};
	static const uint32_t windows_ms[] = {1u, 7u, 59u, 60u, 61u, 1000u, 3600000u};
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
			CHECK_EQUAL(thecal_interlock_open(&interlock, ceilings[c], windows_ms[w]), 0);
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
	CHECK_EQUAL(thecal_interlock_open(&interlock, 1000u, 1000u), 0);
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
		CHECK_EQUAL(thecal_interlock_open(&interlock, 2u, windows_ms[w]), 0);
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
	CHECK_EQUAL(thecal_interlock_open(&interlock, 100u, 60000u), 0);
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

		/* A step looks at every bucket when it opens a new one. */
		((uint8_t *)&stepped)[bit / 8u] ^= mask;
		CHECK_EQUAL(thecal_interlock_take_step(&stepped, now_us + 1000000u), -EACCES);
		CHECK_EQUAL(thecal_interlock_state(&stepped), THECAL_INTERLOCK_TRIPPED);

		((uint8_t *)&looked)[bit / 8u] ^= mask;
		CHECK_EQUAL(thecal_interlock_state(&looked), THECAL_INTERLOCK_TRIPPED);
		/* The bit turning back heals nothing (unless it was the state word, which is another one now). */
		if (bit / 8u < offsetof(struct thecal_interlock, state)) {
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
	const size_t current = 69u % THECAL_INTERLOCK_BUCKETS;
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
	return checked("interlock");
}
