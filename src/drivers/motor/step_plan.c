/*
 * How a step clock of 32,768 Hz makes an order. See thecal/step_plan.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>

#include "thecal/step_plan.h"

/* 32,768 ticks are 1,000,000 us: 512 ticks are 15,625 us exactly. */
#define TICKS_OF_A_ROUND        512u
#define MICROSECONDS_OF_A_ROUND 15625u

#define NANOSECONDS_PER_MICROSECOND 1000u

/* Two steps are at most two horizons apart. */
#define LONGEST_PAIR_TICKS                                                                                             \
	((uint32_t)(2ull * THECAL_MOTOR_HORIZON_US * TICKS_OF_A_ROUND / MICROSECONDS_OF_A_ROUND))
_Static_assert(THECAL_STEP_PLAN_TOLERANCE_US < THECAL_MOTOR_LATE_US, "motor_core.c counts on it");
_Static_assert(LONGEST_PAIR_TICKS < (1u << 22), "does not fit the promise of the header");

uint64_t thecal_step_plan_tick(uint64_t time_us)
{
	/* In two parts: the product of a late time would overflow. */
	const uint64_t rounds = time_us / MICROSECONDS_OF_A_ROUND;
	const uint64_t rest_us = time_us % MICROSECONDS_OF_A_ROUND;

	return rounds * TICKS_OF_A_ROUND +
	       (rest_us * TICKS_OF_A_ROUND + MICROSECONDS_OF_A_ROUND / 2u) / MICROSECONDS_OF_A_ROUND;
}

uint64_t thecal_step_plan_step_tick(const struct thecal_step_plan *plan, uint32_t index)
{
	return plan->first_tick + (uint64_t)(index / 2u) * plan->pair_ticks +
	       (index % 2u != 0u ? plan->pair_ticks / 2u : 0u);
}

static uint64_t order_tick(const struct thecal_motor_order *order, uint32_t index)
{
	return thecal_step_plan_tick(order->first_at_us +
				     (uint64_t)index * order->period_ns / NANOSECONDS_PER_MICROSECOND);
}

void thecal_step_plan_make(struct thecal_step_plan *plan, const struct thecal_motor_order *order, uint32_t made,
			   uint32_t shortest_interval_us, uint64_t earliest_tick)
{
	const uint64_t due_tick = order_tick(order, made);
	const uint64_t last_tick = order_tick(order, order->steps - 1u);
	const uint64_t first_tick = due_tick > earliest_tick ? due_tick : earliest_tick;
	/* Rounded up, and even, so that neither of the two intervals of a pair is too short. */
	const uint64_t half_ticks =
		((uint64_t)shortest_interval_us * TICKS_OF_A_ROUND + MICROSECONDS_OF_A_ROUND - 1u) /
		MICROSECONDS_OF_A_ROUND;
	uint64_t pair_ticks = LONGEST_PAIR_TICKS;

	plan->steps = order->steps - made;
	plan->first_tick = first_tick;
	if (plan->steps > 1u) {
		const uint64_t intervals = plan->steps - 1u;
		const uint64_t span_ticks = last_tick > first_tick ? last_tick - first_tick : 0u;

		pair_ticks = (2u * span_ticks + intervals / 2u) / intervals;
		if (pair_ticks < 2u * half_ticks) {
			pair_ticks = 2u * half_ticks;
		}
		if (pair_ticks > LONGEST_PAIR_TICKS) {
			pair_ticks = LONGEST_PAIR_TICKS;
		}
	}
	plan->pair_ticks = (uint32_t)pair_ticks;
}

static uint32_t near(uint64_t one_tick, uint64_t other_tick)
{
	const uint64_t apart = one_tick > other_tick ? one_tick - other_tick : other_tick - one_tick;

	return apart <= thecal_step_plan_tick(THECAL_STEP_PLAN_TOLERANCE_US) ? 1u : 0u;
}

uint32_t thecal_step_plan_join(struct thecal_step_plan *plan, const struct thecal_motor_order *order)
{
	/* Both run evenly, so if the ends are near, all between them is. */
	if (near(thecal_step_plan_step_tick(plan, plan->steps), order_tick(order, 0u)) == 0u ||
	    near(thecal_step_plan_step_tick(plan, plan->steps + order->steps - 1u),
		 order_tick(order, order->steps - 1u)) == 0u) {
		return 0u;
	}
	plan->steps += order->steps;
	return 1u;
}
