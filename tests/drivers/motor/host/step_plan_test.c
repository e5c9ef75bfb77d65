/*
 * The step clock's arithmetic: where steps come out, how orders join, what lateness does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "check.h"
#include "thecal/step_plan.h"

#define SHORTEST_US    5000u
#define SHORTEST_TICKS 164u /* 163.84, rounded up */

static struct thecal_motor_order order_of(uint64_t first_at_us, uint64_t period_ns, uint32_t steps)
{
	return (struct thecal_motor_order){
		.first_at_us = first_at_us, .period_ns = period_ns, .id = 1u, .steps = steps, .level = 1u};
}

/* Microseconds of a tick, in units of 1/512 us: exact. */
static __int128 tick_time(uint64_t tick)
{
	return (__int128)tick * 15625;
}

static __int128 late_by_us_512(const struct thecal_step_plan *plan, uint32_t plan_index,
			       const struct thecal_motor_order *order, uint32_t order_index)
{
	const __int128 due_us = (__int128)order->first_at_us + (__int128)order_index * order->period_ns / 1000;

	return tick_time(thecal_step_plan_step_tick(plan, plan_index)) - due_us * 512;
}

static void a_tick_is_the_nearest(void)
{
	static const uint64_t times_us[] = {0u,       1u,       15u,        16u,          30u,          31u,
					    45u,      46u,      15624u,     15625u,       15626u,       999999u,
					    1000000u, 1000001u, 1ull << 40, UINT64_MAX - 1u, UINT64_MAX};

	for (size_t index = 0u; index < COUNT_OF(times_us); index++) {
		const __int128 error = tick_time(thecal_step_plan_tick(times_us[index])) - (__int128)times_us[index] * 512;

		/* Half a tick is 7,812.5 of 1/512 us. */
		CHECK(error <= 7813 && error >= -7813);
	}
	CHECK_EQUAL(thecal_step_plan_tick(1000000u), 32768);
	CHECK_EQUAL(thecal_step_plan_tick(60000000u), 60u * 32768u);
}

static void every_step_is_near_its_time(void)
{
	static const uint64_t periods_ns[] = {5004883u, 5333333u,  9000000u,   9009009u,   33333333u,
					      864000000u, 4500000000u, 59999999999u, 60000000000u};
	static const uint32_t steps[] = {1u, 2u, 3u, 4u, 13u, 34u, 499u, 500u};
	static const uint64_t starts_us[] = {0u, 7u, 15624u, 123456789u, 1ull << 50};

	for (size_t p = 0u; p < COUNT_OF(periods_ns); p++) {
		for (size_t s = 0u; s < COUNT_OF(steps); s++) {
			for (size_t t = 0u; t < COUNT_OF(starts_us); t++) {
				const struct thecal_motor_order order = order_of(starts_us[t], periods_ns[p], steps[s]);
				struct thecal_step_plan plan;

				if ((uint64_t)(steps[s] - 1u) * periods_ns[p] > 60000000000u) {
					continue;
				}
				for (uint32_t made = 0u; made < steps[s]; made += 1u + steps[s] / 7u) {
					thecal_step_plan_make(&plan, &order, made, SHORTEST_US, 0u);
					CHECK_EQUAL(plan.steps, steps[s] - made);
					CHECK(plan.pair_ticks < 1u << 22);
					for (uint32_t k = made; k < steps[s]; k++) {
						const __int128 late = late_by_us_512(&plan, k - made, &order, k);

						/* The header's 3.8 ms for 500 steps, and two half ticks. */
						CHECK(late <= 3850 * 512 && late >= -3850 * 512);
					}
					CHECK_EQUAL(plan.first_tick,
						    thecal_step_plan_tick(order.first_at_us + made * periods_ns[p] / 1000u));
				}
			}
		}
	}
}

static void a_late_order_catches_up_at_the_shortest_interval(void)
{
	static const uint64_t periods_ns[] = {5000000u, 7000000u, 9000000u, 100000000u};

	for (size_t p = 0u; p < COUNT_OF(periods_ns); p++) {
		for (uint64_t late_ms = 0u; late_ms <= 1000u; late_ms += 5u) {
			const struct thecal_motor_order order = order_of(5000000u, periods_ns[p], 200u);
			const uint64_t earliest = thecal_step_plan_tick(5000000u + late_ms * 1000u);
			struct thecal_step_plan plan;
			uint64_t last = 0u;

			thecal_step_plan_make(&plan, &order, 0u, SHORTEST_US, earliest);
			CHECK_EQUAL(plan.first_tick, earliest);
			CHECK_EQUAL(plan.steps, 200);
			for (uint32_t k = 0u; k < 200u; k++) {
				const uint64_t tick = thecal_step_plan_step_tick(&plan, k);

				CHECK(k == 0u || tick - last >= SHORTEST_TICKS);
				last = tick;
			}
			/* On time at the end, unless the shortest interval forbids it. */
			CHECK(plan.pair_ticks >= 2u * SHORTEST_TICKS);
			if (plan.pair_ticks > 2u * SHORTEST_TICKS) {
				const __int128 late = late_by_us_512(&plan, 199u, &order, 199u);

				CHECK(late <= 3850 * 512 && late >= -3850 * 512);
			} else {
				CHECK(late_by_us_512(&plan, 199u, &order, 199u) >= -3850 * 512);
			}
		}
	}
}

/* Orders cut from one even infusion: they join for as long as they stay near, and then start afresh. */
static void orders_join_while_they_stay_near(void)
{
	static const uint64_t periods_ns[] = {5004883u, 9000000u, 33333333u, 864000000u, 859523123u, 4500000000u};

	for (size_t p = 0u; p < COUNT_OF(periods_ns); p++) {
		const uint32_t in_window = (uint32_t)(30000000000u / periods_ns[p]);
		const uint32_t steps = in_window > 500u ? 500u : in_window;
		struct thecal_step_plan plan = {0};
		unsigned __int128 step = 0u;
		unsigned joined = 0u;
		unsigned made = 0u;

		for (unsigned window = 0u; window < 400u; window++) {
			const struct thecal_motor_order order =
				order_of(1000u + (uint64_t)(step * periods_ns[p] / 1000u), periods_ns[p], steps);
			uint32_t begin = plan.steps;

			if (window != 0u && thecal_step_plan_join(&plan, &order) != 0u) {
				joined++;
				CHECK_EQUAL(plan.steps, begin + steps);
			} else {
				CHECK_EQUAL(plan.steps, begin);
				thecal_step_plan_make(&plan, &order, 0u, SHORTEST_US, 0u);
				made++;
				begin = 0u;
			}
			for (uint32_t k = 0u; k < steps; k++) {
				const __int128 late = late_by_us_512(&plan, begin + k, &order, k);

				/* The tolerance, half a tick of comparing in ticks on either side, and half of a pair. */
				CHECK(late <= 4040 * 512 && late >= -4040 * 512);
			}
			step += steps;
		}
		CHECK_EQUAL(joined + made, 400);
		/*
		 * At 24 mL/day every second order joins; the usual rates seldom need a new plan. A joined order is one
		 * that no halt of the processor can delay.
		 */
		if (periods_ns[p] == 9000000u) {
			CHECK(joined + 1u >= made);
		}
		if (periods_ns[p] >= 859523123u) {
			CHECK(made < 40u);
		}
	}
}

static void an_order_that_is_something_else_does_not_join(void)
{
	const struct thecal_motor_order running = order_of(1000000u, 864000000u, 10u);
	struct thecal_step_plan plan;

	/* 4,000 us are 131 ticks. */
	for (int64_t off_us = -4200; off_us <= 4200; off_us += 10) {
		const struct thecal_motor_order next = order_of(9640000u + (uint64_t)off_us, 864000000u, 10u);
		uint64_t expected;
		uint64_t wanted;
		bool near_enough;

		thecal_step_plan_make(&plan, &running, 0u, SHORTEST_US, 0u);
		expected = thecal_step_plan_step_tick(&plan, 10u);
		wanted = thecal_step_plan_tick(next.first_at_us);
		near_enough = (expected > wanted ? expected - wanted : wanted - expected) <= 131u;
		/* The end of it is a tick or two off the beginning: leave a band undecided. */
		if (off_us < -4060 || off_us > 4060) {
			CHECK(!near_enough);
			CHECK_EQUAL(thecal_step_plan_join(&plan, &next), 0);
			CHECK_EQUAL(plan.steps, 10);
		} else if (off_us > -3900 && off_us < 3900) {
			CHECK(near_enough);
			CHECK_EQUAL(thecal_step_plan_join(&plan, &next), 1);
			CHECK_EQUAL(plan.steps, 20);
		}
	}
	/* Another rate: the beginning fits, the end does not. */
	for (uint64_t period_ns = 800000000u; period_ns <= 930000000u; period_ns += 1000000u) {
		const struct thecal_motor_order next = order_of(9640000u, period_ns, 10u);
		const uint64_t apart = period_ns > 864000000u ? period_ns - 864000000u : 864000000u - period_ns;

		thecal_step_plan_make(&plan, &running, 0u, SHORTEST_US, 0u);
		CHECK_EQUAL(thecal_step_plan_join(&plan, &next), apart * 9u <= 4000000u ? 1 : 0);
	}
	/* One step more than joins is a step in another place: a single-step order is looked at by its only step. */
	const struct thecal_motor_order single = order_of(9640000u, 0u, 1u);

	thecal_step_plan_make(&plan, &running, 0u, SHORTEST_US, 0u);
	CHECK_EQUAL(thecal_step_plan_join(&plan, &single), 1);
	CHECK_EQUAL(plan.steps, 11);
}

int main(void)
{
	RUN(a_tick_is_the_nearest);
	RUN(every_step_is_near_its_time);
	RUN(a_late_order_catches_up_at_the_shortest_interval);
	RUN(orders_join_while_they_stay_near);
	RUN(an_order_that_is_something_else_does_not_join);
	return checked("step_plan");
}
