/*
 * The motor driver without I/O. See thecal/motor_core.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "thecal/motor_core.h"

/* motor.h writes the numbers out so that Rust sees them; here they are held against the C library in use. */
_Static_assert(THECAL_MOTOR_CEILING == -EPERM, "errno differs");
_Static_assert(THECAL_MOTOR_CLOSED == -EACCES, "errno differs");
_Static_assert(THECAL_MOTOR_BUSY == -EBUSY, "errno differs");
_Static_assert(THECAL_MOTOR_ABSENT == -ENODEV, "errno differs");
_Static_assert(THECAL_MOTOR_INVALID == -EINVAL, "errno differs");
_Static_assert(THECAL_MOTOR_NOT_ARMED == -ENOENT, "errno differs");
_Static_assert(THECAL_MOTOR_ALLOWANCE == -ENOSPC, "errno differs");

#define NANOSECONDS_PER_SECOND      1000000000u
#define NANOSECONDS_PER_MICROSECOND 1000u
#define BOTH_PHASES                 (THECAL_MOTOR_PHASE_A | THECAL_MOTOR_PHASE_B)

static uint64_t later_of(uint64_t one, uint64_t other)
{
	return one > other ? one : other;
}

static uint64_t saturating_sum(uint64_t time_us, uint64_t duration_us)
{
	return time_us > UINT64_MAX - duration_us ? UINT64_MAX : time_us + duration_us;
}

/* Two callers may read the clock in one order and get the lock in the other. */
static void see(struct thecal_motor_core *core, uint64_t now_us)
{
	core->now_us = later_of(core->now_us, now_us);
}

/*
 * When step `index` of an accepted order is due. From the order's start each time, so no rounding adds up. submit()
 * has bounded the product by the horizon and the sum by the end of time; the period of a single step it has not looked
 * at is multiplied by 0.
 */
static uint64_t step_time_us(const struct thecal_motor_order *order, uint32_t index)
{
	return order->first_at_us + (uint64_t)index * order->period_ns / NANOSECONDS_PER_MICROSECOND;
}

static uint64_t last_step_us(const struct thecal_motor_order *order)
{
	return step_time_us(order, order->steps - 1u);
}

uint32_t thecal_motor_core_pulse_us(const struct thecal_motor_config *config, uint32_t level)
{
	return (uint32_t)((uint64_t)config->phase_time_us * (level + 1u) / 2u);
}

uint64_t thecal_motor_core_shortest_ns(const struct thecal_motor_core *core, const struct thecal_motor_order *order)
{
	const uint32_t longer_us =
		thecal_motor_core_pulse_us(&core->config, order->level) - core->config.phase_time_us;

	return core->shortest_interval_ns + (uint64_t)longer_us * NANOSECONDS_PER_MICROSECOND;
}

static uint64_t shortest_interval_us(const struct thecal_motor_core *core, const struct thecal_motor_order *order)
{
	return thecal_motor_core_shortest_ns(core, order) / NANOSECONDS_PER_MICROSECOND;
}

/*
 * The earliest that a step due at that time is made: hardware that rounds times may be early (thecal/step_plan.h), by less
 * than what is called late. Asked for an earlier window, the interlock has no surprise for it.
 */
static uint64_t earliest_of_step(uint64_t due_us)
{
	return due_us > THECAL_MOTOR_LATE_US ? due_us - THECAL_MOTOR_LATE_US : 0u;
}

/* Steps accepted and not made yet. */
static uint32_t outstanding(const struct thecal_motor_core *core)
{
	uint32_t steps = 0u;

	for (uint32_t index = 0u; index < core->orders_held; index++) {
		steps += core->orders[index].steps;
	}
	return steps - core->made;
}

static void find_due(struct thecal_motor_core *core)
{
	if (core->orders_held != 0u && core->made < core->orders[0].steps) {
		core->due_us = step_time_us(&core->orders[0], core->made);
	} else {
		core->due_us = THECAL_MOTOR_NEVER_US;
	}
}

/* The running order is over; the next one, if there is one, runs. */
static void finish_order(struct thecal_motor_core *core)
{
	core->last_order = core->orders[0].id;
	core->last_order_steps = core->made;
	core->orders_ended += 1u;
	core->made = 0u;
	core->orders[0] = core->orders[1];
	core->orders_held = (uint16_t)(core->orders_held - 1u);
	find_due(core);
}

static uint32_t drop_orders(struct thecal_motor_core *core)
{
	const uint32_t made = core->made;

	if (core->orders_held != 0u) {
		core->last_order = core->orders[0].id;
		core->last_order_steps = made;
		core->orders_ended += core->orders_held;
	}
	core->made = 0u;
	core->orders_held = 0u;
	core->due_us = THECAL_MOTOR_NEVER_US;
	return made;
}

static void raise_fault(struct thecal_motor_core *core, uint32_t fault)
{
	core->faults = (uint16_t)(core->faults | fault);
}

/* A step begins now, or is about to. */
static void note_lateness(struct thecal_motor_core *core)
{
	const uint64_t begins_us = later_of(core->due_us, core->not_before_us);

	if (core->now_us > begins_us && core->now_us - begins_us > THECAL_MOTOR_LATE_US) {
		raise_fault(core, THECAL_MOTOR_FAULT_LATE);
	}
}

/* The interlock said no to a step that was accepted before: nothing that is queued can be made either. */
static void refuse_orders(struct thecal_motor_core *core, int32_t refusal)
{
	if (refusal == -EPERM) {
		raise_fault(core, THECAL_MOTOR_FAULT_CEILING);
	}
	if (refusal == -ENOSPC) {
		raise_fault(core, THECAL_MOTOR_FAULT_ALLOWANCE);
	}
	if (thecal_interlock_state(&core->interlock) == THECAL_INTERLOCK_TRIPPED) {
		raise_fault(core, THECAL_MOTOR_FAULT_INTERLOCK);
	}
	(void)drop_orders(core);
}

int32_t thecal_motor_core_init(struct thecal_motor_core *core, const struct thecal_motor_config *config)
{
	/* Not memset: the freestanding build has no string.h of its own, and every field is named where it begins. */
	*core = (struct thecal_motor_core){
		.due_us = THECAL_MOTOR_NEVER_US,
		.config = *config,
		.next_phase = THECAL_MOTOR_PHASE_A,
	};
	thecal_interlock_init(&core->interlock);
	if (config->phase_time_us == 0u || config->maximum_step_rate == 0u || config->ceiling_steps == 0u ||
	    config->ceiling_window_ms == 0u || config->steps_per_encoder_pulse == 0u) {
		return -EINVAL;
	}
	if (config->phase_time_us >=
	    NANOSECONDS_PER_SECOND / config->maximum_step_rate / NANOSECONDS_PER_MICROSECOND) {
		return -EINVAL;
	}
	core->shortest_interval_ns = NANOSECONDS_PER_SECOND / config->maximum_step_rate;
	core->rest_us = core->shortest_interval_ns / NANOSECONDS_PER_MICROSECOND - config->phase_time_us;
	return 0;
}

int32_t thecal_motor_core_open(struct thecal_motor_core *core)
{
	return thecal_interlock_open(&core->interlock, core->config.ceiling_steps, core->config.ceiling_window_ms);
}

int32_t thecal_motor_core_arm(struct thecal_motor_core *core, uint64_t now_us, uint32_t hour_steps,
			      uint32_t day_steps)
{
	see(core, now_us);
	return thecal_interlock_arm(&core->interlock, core->now_us, hour_steps, day_steps);
}

int32_t thecal_motor_core_grant(struct thecal_motor_core *core, uint64_t now_us, uint32_t steps, uint32_t within_s)
{
	see(core, now_us);
	return thecal_interlock_grant(&core->interlock, core->now_us, steps, within_s);
}

int32_t thecal_motor_core_save(struct thecal_motor_core *core, uint64_t now_us,
			       struct thecal_interlock_history *history)
{
	see(core, now_us);
	return thecal_interlock_save(&core->interlock, core->now_us, outstanding(core), history);
}

int32_t thecal_motor_core_restore(struct thecal_motor_core *core, uint64_t now_us,
				  const struct thecal_interlock_history *history)
{
	see(core, now_us);
	return thecal_interlock_restore(&core->interlock, core->now_us, history);
}

/* Whether the order makes sense by itself and at this time. */
static bool order_valid(const struct thecal_motor_core *core, const struct thecal_motor_order *order)
{
	const uint64_t now_us = core->now_us;
	const uint64_t horizon_ns = (uint64_t)THECAL_MOTOR_HORIZON_US * NANOSECONDS_PER_MICROSECOND;
	const uint32_t intervals = order->steps - 1u;
	uint64_t span_us;
	uint64_t last_us;

	if (core->shortest_interval_ns == 0u || order->steps == 0u || order->steps > THECAL_MOTOR_MAXIMUM_STEPS) {
		return false;
	}
	if (order->level < THECAL_MOTOR_LEVEL_NOMINAL || order->level > THECAL_MOTOR_LEVEL_HIGHEST) {
		return false;
	}
	if (intervals != 0u &&
	    (order->period_ns < thecal_motor_core_shortest_ns(core, order) || order->period_ns > horizon_ns / intervals)) {
		return false;
	}
	if (order->first_at_us < now_us && now_us - order->first_at_us > THECAL_MOTOR_OLDEST_US) {
		return false;
	}
	span_us = intervals == 0u ? 0u : intervals * order->period_ns / NANOSECONDS_PER_MICROSECOND;
	if (order->first_at_us > UINT64_MAX - span_us) {
		return false;
	}
	last_us = order->first_at_us + span_us;
	return last_us <= now_us || last_us - now_us <= THECAL_MOTOR_HORIZON_US;
}

int32_t thecal_motor_core_submit(struct thecal_motor_core *core, uint64_t now_us,
				 const struct thecal_motor_order *order)
{
	int32_t refusal;

	see(core, now_us);
	if (!order_valid(core, order)) {
		return -EINVAL;
	}
	if (core->orders_held >= THECAL_MOTOR_ORDERS) {
		return -EBUSY;
	}
	if (core->orders_held != 0u) {
		const struct thecal_motor_order *before = &core->orders[core->orders_held - 1u];
		const uint64_t tail_us = last_step_us(before);

		if (order->first_at_us < tail_us || order->first_at_us - tail_us < shortest_interval_us(core, before)) {
			return -EBUSY;
		}
	}
	refusal = thecal_interlock_permit(&core->interlock, earliest_of_step(order->first_at_us),
					  outstanding(core) + order->steps);
	if (refusal != 0) {
		return refusal;
	}
	core->orders[core->orders_held] = *order;
	core->orders_held = (uint16_t)(core->orders_held + 1u);
	if (core->orders_held == 1u) {
		core->not_before_us = later_of(core->not_before_us, core->now_us);
		find_due(core);
	}
	return 0;
}

uint32_t thecal_motor_core_cancel(struct thecal_motor_core *core, uint64_t now_us)
{
	see(core, now_us);
	return drop_orders(core);
}

void thecal_motor_core_off(struct thecal_motor_core *core, uint64_t now_us)
{
	core->phases = 0u;
	thecal_interlock_shut(&core->interlock);
	see(core, now_us);
	(void)drop_orders(core);
}

uint64_t thecal_motor_core_next_event_us(const struct thecal_motor_core *core)
{
	if (core->phases != 0u) {
		return core->pulse_ends_us;
	}
	/* NEVER is the latest of all times, so no order stays no event. */
	return later_of(core->due_us, core->not_before_us);
}

uint64_t thecal_motor_core_order_end_us(const struct thecal_motor_core *core)
{
	uint64_t begins_us;
	uint64_t left;

	if (core->orders_held == 0u) {
		return THECAL_MOTOR_NEVER_US;
	}
	if (core->made == core->orders[0].steps) {
		return core->pulse_ends_us;
	}
	/* A late order ends late: its steps follow at the shortest interval until they have caught up. */
	left = core->orders[0].steps - core->made;
	begins_us = core->phases != 0u ? saturating_sum(core->pulse_ends_us, core->rest_us) : core->not_before_us;
	begins_us = saturating_sum(later_of(begins_us, core->due_us), (left - 1u) * shortest_interval_us(core, &core->orders[0]));
	return saturating_sum(later_of(begins_us, last_step_us(&core->orders[0])),
			      thecal_motor_core_pulse_us(&core->config, core->orders[0].level));
}

uint32_t thecal_motor_core_advance(struct thecal_motor_core *core, uint64_t now_us)
{
	uint64_t begins_us;
	int32_t refusal;

	see(core, now_us);
	if (core->phases != 0u) {
		if (core->now_us < core->pulse_ends_us) {
			return core->phases;
		}
		core->phases = 0u;
		/* From now, not from when it should have ended: a pulse cut late leaves the rotor no less time to rest. */
		core->not_before_us = saturating_sum(core->now_us, core->rest_us);
		if (core->orders_held != 0u && core->made == core->orders[0].steps) {
			finish_order(core);
		}
	}
	begins_us = later_of(core->due_us, core->not_before_us);
	if (core->due_us == THECAL_MOTOR_NEVER_US || core->now_us < begins_us) {
		return 0u;
	}
	refusal = thecal_interlock_take_step(&core->interlock, core->now_us);
	if (refusal != 0) {
		refuse_orders(core, refusal);
		return 0u;
	}
	note_lateness(core);
	core->phases = core->next_phase;
	core->next_phase = (uint8_t)(core->next_phase ^ BOTH_PHASES);
	core->pulse_ends_us = saturating_sum(
		core->now_us, thecal_motor_core_pulse_us(&core->config, core->orders[0].level));
	core->commanded_steps += 1u;
	core->made += 1u;
	find_due(core);
	return core->phases;
}

int32_t thecal_motor_core_begin(struct thecal_motor_core *core, uint64_t now_us)
{
	int32_t refusal;

	see(core, now_us);
	if (core->orders_held == 0u) {
		return -EINVAL;
	}
	/* For when its steps come, which is later than now: an earlier window is another, and may be fuller. */
	refusal = thecal_interlock_confirm(&core->interlock, later_of(core->now_us, earliest_of_step(core->due_us)),
					  core->orders[0].steps - core->made);
	if (refusal != 0) {
		refuse_orders(core, refusal);
		return refusal;
	}
	note_lateness(core);
	return 0;
}

void thecal_motor_core_made(struct thecal_motor_core *core, uint64_t now_us, uint32_t steps)
{
	uint32_t left = steps;
	int32_t refusal;

	see(core, now_us);
	if (steps == 0u) {
		return;
	}
	core->commanded_steps += steps;
	if (steps % 2u != 0u) {
		core->next_phase = (uint8_t)(core->next_phase ^ BOTH_PHASES);
	}
	while (left != 0u && core->orders_held != 0u) {
		const uint32_t wanted = core->orders[0].steps - core->made;
		const uint32_t taken = left < wanted ? left : wanted;

		core->made += taken;
		left -= taken;
		if (core->made == core->orders[0].steps) {
			finish_order(core);
		}
	}
	if (left != 0u) {
		raise_fault(core, THECAL_MOTOR_FAULT_HARDWARE);
	}
	find_due(core);
	refusal = thecal_interlock_count(&core->interlock, core->now_us, steps);
	if (refusal != 0) {
		refuse_orders(core, refusal);
	}
}

void thecal_motor_core_status(struct thecal_motor_core *core, uint64_t now_us, struct thecal_motor_status *status)
{
	see(core, now_us);
	status->at_us = core->now_us;
	status->interlock = thecal_interlock_state(&core->interlock);
	if (status->interlock == THECAL_INTERLOCK_TRIPPED) {
		raise_fault(core, THECAL_MOTOR_FAULT_INTERLOCK);
	}
	status->commanded_steps = core->commanded_steps;
	status->orders_ended = core->orders_ended;
	status->running_order = core->orders_held == 0u ? 0u : core->orders[0].id;
	status->steps_left = core->orders_held == 0u ? 0u : core->orders[0].steps - core->made;
	status->last_order = core->last_order;
	status->last_order_steps = core->last_order_steps;
	status->steps_per_encoder_pulse = core->config.steps_per_encoder_pulse;
	status->orders_held = core->orders_held;
	status->faults = core->faults;
	status->armed = thecal_interlock_armed(&core->interlock);
}
