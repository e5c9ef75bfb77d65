/*
 * The motor driver without I/O: order queue, step times, phases, accounts.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two ways to use it:
 *
 *  - a layer that steps in software calls advance() at next_event_us() and puts the answer on the two phase lines
 *    (the emulated motor does);
 *  - a layer whose hardware makes the steps of a whole order calls begin() when it loads the running order and made()
 *    whenever it has counted steps (the nRF52 layer does).
 *
 * A step of a two-phase Lavet motor is one pulse of phase_time_us on phase A or phase B, by turns, for ever: the
 * alternation is never reset and never reversed. After a pulse the motor rests until the shortest step interval is over.
 */
#ifndef THECAL_MOTOR_CORE_H
#define THECAL_MOTOR_CORE_H

#include <stdint.h>

#include "interlock.h"
#include "motor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Phase A carries current. */
#define THECAL_MOTOR_PHASE_A 0x01u
/** Phase B carries current. */
#define THECAL_MOTOR_PHASE_B 0x02u

/** The time of an event that will not come: the last there is. */
#define THECAL_MOTOR_NEVER_US UINT64_MAX

/** The motor's electrical bounds, from the device tree. */
struct thecal_motor_config {
	/** Length of a pulse, microseconds (phase-time-us). */
	uint32_t phase_time_us;
	/** Most steps in a second (maximum-step-rate). */
	uint32_t maximum_step_rate;
	/** The interlock's hard ceiling (ceiling-steps). */
	uint32_t ceiling_steps;
	/** The window it holds for, milliseconds (ceiling-window-ms). */
	uint32_t ceiling_window_ms;
	/** Steps for one encoder pulse (steps-per-encoder-pulse). */
	uint32_t steps_per_encoder_pulse;
};
_Static_assert(sizeof(struct thecal_motor_config) == 20, "layout is shared with Rust");

/** The state. Its fields are its own business. */
struct thecal_motor_core {
	struct thecal_interlock interlock;
	/** orders[0] runs or waits for its time, orders[1] is next. */
	struct thecal_motor_order orders[THECAL_MOTOR_ORDERS];
	/** Steps since boot. */
	uint64_t commanded_steps;
	/** Latest time seen: time never goes back. */
	uint64_t now_us;
	/** No step begins earlier. */
	uint64_t not_before_us;
	/** When the next step of the running order is due; THECAL_MOTOR_NEVER_US without one. */
	uint64_t due_us;
	/** When the pulse ends; holds while phases is not 0. */
	uint64_t pulse_ends_us;
	/** Shortest time between two steps on the nominal level, nanoseconds, rounded down. */
	uint64_t shortest_interval_ns;
	/** Least time without current after a pulse, microseconds. */
	uint64_t rest_us;
	struct thecal_motor_config config;
	/** Steps made of orders[0]. */
	uint32_t made;
	uint32_t orders_ended;
	uint32_t last_order;
	uint32_t last_order_steps;
	uint16_t orders_held;
	uint16_t faults;
	/** The phases that carry current: none, A or B. */
	uint8_t phases;
	/** The phase of the next pulse: A or B. */
	uint8_t next_phase;
	uint8_t reserved[6];
};
_Static_assert(sizeof(struct thecal_motor_core) ==
		       sizeof(struct thecal_interlock) + 64 + 7 * 8 + 20 + 4 * 4 + 2 * 2 + 8,
	       "layout is shared with Rust");

/**
 * Make the core: no orders, no current, interlock closed.
 *
 * @retval 0        ready
 * @retval -EINVAL  a bound is 0, or a pulse does not fit into the shortest step interval; every order is refused
 */
int32_t thecal_motor_core_init(struct thecal_motor_core *core, const struct thecal_motor_config *config);

/** Open the interlock with the configured ceiling, once a boot. Answers as thecal_interlock_open(). */
int32_t thecal_motor_core_open(struct thecal_motor_core *core);

/** As thecal_interlock_arm(). Orders that are held stay, and are held against it when their steps come. */
int32_t thecal_motor_core_arm(struct thecal_motor_core *core, uint64_t now_us, uint32_t hour_steps,
			      uint32_t day_steps);

/** As thecal_interlock_grant(). */
int32_t thecal_motor_core_grant(struct thecal_motor_core *core, uint64_t now_us, uint32_t steps, uint32_t within_s);

/** As thecal_interlock_save(), with every step of the orders held as one that may be made. */
int32_t thecal_motor_core_save(struct thecal_motor_core *core, uint64_t now_us,
			       struct thecal_interlock_history *history);

/** As thecal_interlock_restore(). */
int32_t thecal_motor_core_restore(struct thecal_motor_core *core, uint64_t now_us,
				  const struct thecal_interlock_history *history);

/** How long a pulse lasts on a level, THECAL_MOTOR_LEVEL_*, microseconds. */
uint32_t thecal_motor_core_pulse_us(const struct thecal_motor_config *config, uint32_t level);

/** Shortest time between two steps of an order, nanoseconds: the rest after a pulse is the same on every level. */
uint64_t thecal_motor_core_shortest_ns(const struct thecal_motor_core *core, const struct thecal_motor_order *order);

/**
 * Hand over an order. What is refused changes nothing.
 *
 * @retval 0        accepted
 * @retval -EINVAL  THECAL_MOTOR_INVALID
 * @retval -EACCES  THECAL_MOTOR_CLOSED
 * @retval -EBUSY   THECAL_MOTOR_BUSY
 * @retval -EPERM   THECAL_MOTOR_CEILING
 * @retval -ENOENT  THECAL_MOTOR_NOT_ARMED
 * @retval -ENOSPC  THECAL_MOTOR_ALLOWANCE
 */
int32_t thecal_motor_core_submit(struct thecal_motor_core *core, uint64_t now_us,
				 const struct thecal_motor_order *order);

/** Drop all orders; a pulse that has begun ends at its time. Returns the steps made of the orders dropped. */
uint32_t thecal_motor_core_cancel(struct thecal_motor_core *core, uint64_t now_us);

/** Drop all orders, cut the current now and close the interlock until the next boot. */
void thecal_motor_core_off(struct thecal_motor_core *core, uint64_t now_us);

/** When advance() is to be called next, THECAL_MOTOR_NEVER_US if nothing is to be done. */
uint64_t thecal_motor_core_next_event_us(const struct thecal_motor_core *core);

/** When the last pulse of the running order ends if nothing delays it; THECAL_MOTOR_NEVER_US without one. */
uint64_t thecal_motor_core_order_end_us(const struct thecal_motor_core *core);

/**
 * Do what is due: end a pulse, or begin one. A late call finds the lines as it left them, so an overdue step begins
 * now and the next not before the motor has rested: overdue steps follow at the shortest interval, never faster.
 *
 * @return the phases that carry current from now on
 */
uint32_t thecal_motor_core_advance(struct thecal_motor_core *core, uint64_t now_us);

/**
 * Ask once more, when hardware is about to be loaded with what is left of the running order.
 *
 * @retval 0        load it
 * @retval -EINVAL  there is no order
 * @retval -EACCES  the interlock is not open: all orders were dropped
 * @retval -EPERM   the hard ceiling would be passed: all orders were dropped
 * @retval -ENOSPC  the allowance would be passed: all orders were dropped, and the interlock has tripped
 */
int32_t thecal_motor_core_begin(struct thecal_motor_core *core, uint64_t now_us);

/**
 * Account steps that hardware made of the running order, and of the next one if there were more. Steps beyond all
 * orders are accounted too, with THECAL_MOTOR_FAULT_HARDWARE.
 */
void thecal_motor_core_made(struct thecal_motor_core *core, uint64_t now_us, uint32_t steps);

/** Write the core's part of the status: everything but counted_pulses, which is left alone. */
void thecal_motor_core_status(struct thecal_motor_core *core, uint64_t now_us, struct thecal_motor_status *status);

#ifdef __cplusplus
}
#endif

#endif /* THECAL_MOTOR_CORE_H */
