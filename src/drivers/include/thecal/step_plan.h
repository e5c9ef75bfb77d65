/*
 * How a step clock of 32,768 Hz makes an order: plain arithmetic, no registers.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The nRF52 layer (motor_nrf.c) lets a real-time counter begin the pulses. The counter repeats a period of two steps,
 * one on phase A and one on phase B, in whole ticks of 30.5 us. A plan is what it is loaded with: the tick of the first
 * step, the ticks of two steps, and how many steps. Ticks are the kernel's, counted since boot from the same crystal,
 * so nothing drifts but what rounding two steps to a tick leaves: at most a quarter of a tick a step, 3.8 ms over 500
 * steps. Every order is planned from its own times again, or joins a running plan only while all of its steps stay
 * within THECAL_STEP_PLAN_TOLERANCE_US: errors do not add up from order to order.
 */
#ifndef THECAL_STEP_PLAN_H
#define THECAL_STEP_PLAN_H

#include <stdint.h>

#include "motor_core.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Ticks a second: the watch crystal's. */
#define THECAL_STEP_PLAN_TICKS_PER_SECOND 32768u
/** How far from its time a step may be made so that its order joins the running plan: within what a halt may cost. */
#define THECAL_STEP_PLAN_TOLERANCE_US 4000u

/** Step k (from 0) at first_tick + k / 2 * pair_ticks + k % 2 * (pair_ticks / 2). */
struct thecal_step_plan {
	/** Tick of the first step, counted since boot. */
	uint64_t first_tick;
	/** Ticks of two steps; less than 2^22, so that a counter of 24 bits holds it. */
	uint32_t pair_ticks;
	/** Steps, 1 and more. */
	uint32_t steps;
};
_Static_assert(sizeof(struct thecal_step_plan) == 16, "layout is shared with Rust");

/** The tick nearest to a time in microseconds since boot. */
uint64_t thecal_step_plan_tick(uint64_t time_us);

/** The tick of step `index` of a plan. */
uint64_t thecal_step_plan_step_tick(const struct thecal_step_plan *plan, uint32_t index);

/**
 * Plan what is left of an order that the core has accepted.
 *
 * An order that begins late is made faster, but never faster than the shortest interval, so that its last step is on
 * time again if that is possible.
 *
 * @param made                  steps of the order made already, fewer than it has
 * @param shortest_interval_us  least time between two steps
 * @param earliest_tick         no step before
 */
void thecal_step_plan_make(struct thecal_step_plan *plan, const struct thecal_motor_order *order, uint32_t made,
			   uint32_t shortest_interval_us, uint64_t earliest_tick);

/**
 * Let an order that follows the planned ones be made by simply going on: if the plan's next steps are all within
 * THECAL_STEP_PLAN_TOLERANCE_US of the order's, the plan gets that many steps more.
 *
 * @retval 1  joined
 * @retval 0  the order must be planned by itself; nothing changed
 */
uint32_t thecal_step_plan_join(struct thecal_step_plan *plan, const struct thecal_motor_order *order);

#ifdef __cplusplus
}
#endif

#endif /* THECAL_STEP_PLAN_H */
