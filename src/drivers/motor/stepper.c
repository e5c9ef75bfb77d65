/*
 * A motor whose steps hardware makes. See stepper.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdbool.h>
#include <stdint.h>

#include "stepper.h"

/* 512 ticks are 15,625 us exactly. */
#define TICKS_OF_A_ROUND        512u
#define MICROSECONDS_OF_A_ROUND 15625u

/* Rounded down, as the kernel's k_ticks_to_us_floor64(). */
static uint64_t time_us(uint64_t tick)
{
	return tick / TICKS_OF_A_ROUND * MICROSECONDS_OF_A_ROUND +
	       tick % TICKS_OF_A_ROUND * MICROSECONDS_OF_A_ROUND / TICKS_OF_A_ROUND;
}

/* Rounded up. */
static uint64_t ticks_for(uint64_t duration_us)
{
	return (duration_us * TICKS_OF_A_ROUND + MICROSECONDS_OF_A_ROUND - 1u) / MICROSECONDS_OF_A_ROUND;
}

static uint64_t later_of(uint64_t one, uint64_t other)
{
	return one > other ? one : other;
}

static uint64_t earlier_of(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

/* Steps of the running order still to be made. */
static uint32_t left_of_order(const struct thecal_motor_core *core)
{
	return core->orders_held == 0u ? 0u : core->orders[0].steps - core->made;
}

static uint64_t now_us(const struct thecal_stepper *stepper)
{
	return time_us(stepper->hardware->now_tick());
}

/* Pulses begun of the plan: the ended ones, and the one that is on. */
static uint32_t pulses_begun(const struct thecal_stepper *stepper)
{
	const struct thecal_stepper_hardware *hardware = stepper->hardware;
	const uint32_t ended = hardware->pulses_ended();
	const bool active = hardware->pulse_active();
	const uint32_t again = hardware->pulses_ended();

	/* If one has ended between the readings it may be in both; the next one is milliseconds away. */
	return again != ended || !active ? again : ended + 1u;
}

/* The hardware stands still, or will when the pulse that is on has ended. */
static void unload(struct thecal_stepper *stepper)
{
	const struct thecal_stepper_hardware *hardware = stepper->hardware;
	const uint64_t tick = hardware->now_tick();
	const struct thecal_motor_core *core = &stepper->core;
	uint64_t ends_tick = tick;

	hardware->halt();
	stepper->loaded = false;
	if (hardware->pulse_active()) {
		/* An eighth more: pulses are timed by an oscillator without a crystal. */
		ends_tick += ticks_for(stepper->pulse_us + stepper->pulse_us / 8u);
	}
	stepper->ready_tick = ends_tick + THECAL_STEPPER_SETTLE_TICKS;
	stepper->rested_tick = ends_tick + ticks_for(core->rest_us);
}

/* Tell the core what was made since it was last told. */
static void account(struct thecal_stepper *stepper)
{
	uint32_t begun;

	if (!stepper->loaded) {
		return;
	}
	begun = pulses_begun(stepper);
	if (begun > stepper->accounted) {
		thecal_motor_core_made(&stepper->core, now_us(stepper), begun - stepper->accounted);
		stepper->accounted = begun;
	}
	/* The interlock tripped over them: the core has dropped everything, the hardware must too. */
	if (stepper->core.orders_held == 0u && begun < stepper->plan.steps) {
		unload(stepper);
	}
}

/* Plan what is left of the running order, and load it if its time has come. */
static void load(struct thecal_stepper *stepper)
{
	const struct thecal_stepper_hardware *hardware = stepper->hardware;
	struct thecal_motor_core *core = &stepper->core;
	const uint64_t tick = hardware->now_tick();
	struct thecal_stepper_load wanted;
	uint64_t wait_ticks;
	uint32_t half_ticks;

	if (stepper->loaded || core->orders_held == 0u) {
		return;
	}
	if (tick < stepper->ready_tick) {
		hardware->wake_at(stepper->ready_tick);
		return;
	}
	thecal_step_plan_make(&stepper->plan, &core->orders[0], core->made,
			      (uint32_t)(thecal_motor_core_shortest_ns(core, &core->orders[0]) / 1000u),
			      later_of(tick + THECAL_STEPPER_LEAST_WAIT_TICKS, stepper->rested_tick));
	wait_ticks = stepper->plan.first_tick - tick;
	half_ticks = stepper->plan.pair_ticks / 2u;
	if (wait_ticks >= half_ticks) {
		/* Too far for the clock's period. As soon as it is not, so that a halt of the processor does no harm. */
		hardware->wake_at(stepper->plan.first_tick - (half_ticks - half_ticks / 8u));
		return;
	}
	if (thecal_motor_core_begin(core, time_us(tick)) != 0) {
		return;
	}
	wanted.wait_ticks = (uint32_t)wait_ticks;
	wanted.pair_ticks = stepper->plan.pair_ticks;
	wanted.stop_at = stepper->plan.steps;
	wanted.interrupt_at = stepper->plan.steps;
	wanted.first_phase = core->next_phase;
	wanted.pulse_us = thecal_motor_core_pulse_us(&core->config, core->orders[0].level);
	stepper->pulse_us = wanted.pulse_us;
	stepper->accounted = 0u;
	stepper->loaded = true;
	hardware->wake_never();
	hardware->begin(&wanted);
}

/* The order behind the running one: let the loaded plan simply go on with it, if it fits and there is time to say so. */
static void join(struct thecal_stepper *stepper)
{
	const struct thecal_motor_core *core = &stepper->core;
	const uint32_t order_ends_at = stepper->accounted + left_of_order(core);

	if (!stepper->loaded || core->orders_held < 2u || order_ends_at != stepper->plan.steps) {
		return;
	}
	/* The pulses of a plan are all alike. */
	if (core->orders[1].level != core->orders[0].level) {
		return;
	}
	/* With the last pulse on its way the clock may stop while we speak. */
	if (stepper->accounted + 1u >= stepper->plan.steps) {
		return;
	}
	if (thecal_step_plan_join(&stepper->plan, &core->orders[1]) != 0u) {
		stepper->hardware->extend(stepper->plan.steps, order_ends_at);
	}
}

int32_t thecal_stepper_init(struct thecal_stepper *stepper, const struct thecal_stepper_hardware *hardware,
			    const struct thecal_motor_config *config)
{
	int32_t refusal;

	/* Somebody has just halted the clock, to have it in a known state. */
	*stepper = (struct thecal_stepper){
		.hardware = hardware,
		.ready_tick = hardware->now_tick() + THECAL_STEPPER_SETTLE_TICKS,
	};
	refusal = thecal_motor_core_init(&stepper->core, config);
	return refusal != 0 ? refusal : thecal_motor_core_open(&stepper->core);
}

int32_t thecal_stepper_submit(struct thecal_stepper *stepper, const struct thecal_motor_order *order)
{
	int32_t refusal;

	account(stepper);
	refusal = thecal_motor_core_submit(&stepper->core, now_us(stepper), order);
	if (refusal == 0) {
		join(stepper);
		load(stepper);
	}
	return refusal;
}

int32_t thecal_stepper_arm(struct thecal_stepper *stepper, uint32_t hour_steps, uint32_t day_steps)
{
	account(stepper);
	return thecal_motor_core_arm(&stepper->core, now_us(stepper), hour_steps, day_steps);
}

int32_t thecal_stepper_grant(struct thecal_stepper *stepper, uint32_t steps, uint32_t within_s)
{
	account(stepper);
	return thecal_motor_core_grant(&stepper->core, now_us(stepper), steps, within_s);
}

int32_t thecal_stepper_save(struct thecal_stepper *stepper, struct thecal_interlock_history *history)
{
	account(stepper);
	return thecal_motor_core_save(&stepper->core, now_us(stepper), history);
}

int32_t thecal_stepper_restore(struct thecal_stepper *stepper, const struct thecal_interlock_history *history)
{
	return thecal_motor_core_restore(&stepper->core, now_us(stepper), history);
}

uint32_t thecal_stepper_cancel(struct thecal_stepper *stepper)
{
	uint32_t made;

	stepper->hardware->wake_never();
	if (stepper->loaded) {
		/* First no further pulse, then the count: it cannot change any more but for the one that is on. */
		stepper->hardware->halt();
		account(stepper);
		made = thecal_motor_core_cancel(&stepper->core, now_us(stepper));
		unload(stepper);
	} else {
		made = thecal_motor_core_cancel(&stepper->core, now_us(stepper));
	}
	return made;
}

void thecal_stepper_status(struct thecal_stepper *stepper, struct thecal_motor_status *status)
{
	account(stepper);
	thecal_motor_core_status(&stepper->core, now_us(stepper), status);
	/* The status looks at every word of the interlock: if one is damaged, nothing goes on. */
	if (status->interlock != THECAL_INTERLOCK_OPEN && stepper->loaded) {
		(void)thecal_stepper_cancel(stepper);
		thecal_motor_core_status(&stepper->core, now_us(stepper), status);
	}
}

void thecal_stepper_off(struct thecal_stepper *stepper)
{
	stepper->hardware->wake_never();
	account(stepper);
	thecal_motor_core_off(&stepper->core, now_us(stepper));
	unload(stepper);
}

void thecal_stepper_interrupt(struct thecal_stepper *stepper)
{
	account(stepper);
	if (!stepper->loaded) {
		return;
	}
	if (stepper->hardware->pulses_ended() >= stepper->plan.steps) {
		unload(stepper);
		load(stepper);
	} else {
		/* One order of a joined plan is over: tell when the next one is. */
		const uint64_t order_ends_at = (uint64_t)stepper->accounted + left_of_order(&stepper->core);

		stepper->hardware->extend(stepper->plan.steps,
					  (uint32_t)earlier_of(order_ends_at, stepper->plan.steps));
	}
}

void thecal_stepper_wake(struct thecal_stepper *stepper)
{
	load(stepper);
}
