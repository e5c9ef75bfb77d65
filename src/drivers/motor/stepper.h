/*
 * A motor whose steps hardware makes: what to load, when, and what it has made. No registers.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The hardware below (motor_nrf.c on a chip, a model in the tests) is a clock of 32,768 Hz that begins a pulse every so
 * many ticks, on phase A and B by turns, and a counter of ended pulses that stops the clock after the last one and
 * raises an interrupt. Loaded once, it makes a whole plan without the processor.
 *
 *            submit()                 wake()                     interrupt()
 *   idle ---------------> waiting ------------> loaded -------------------------> idle, or waiting for the next order
 *                 first step is far       |  submit(): an order that goes on evenly joins, and
 *                                         |  the counter's last one moves on: no gap, no hurry
 *                                         `-- cancel(), interlock tripped ------> idle
 *
 * So the processor is needed in time only where a plan ends and another begins. If it is halted just then (a flash
 * erase on a chip without partial erase, up to 100 ms), the next order begins that much late and is made faster, never
 * faster than the motor turns, until it is on time again.
 *
 * Every function is called with interrupts locked.
 */
#ifndef THECAL_STEPPER_H
#define THECAL_STEPPER_H

#include <stdbool.h>
#include <stdint.h>

#include <thecal/motor_core.h>
#include <thecal/step_plan.h>

/** What the hardware is loaded with. */
struct thecal_stepper_load {
	/** Ticks from now to the first pulse, THECAL_STEPPER_LEAST_WAIT_TICKS to half of pair_ticks less one. */
	uint32_t wait_ticks;
	/** Ticks of two steps. The second pulse comes pair_ticks / 2 after the first, and so on by turns. */
	uint32_t pair_ticks;
	/** Ended pulses at which the clock stops: the plan's steps. */
	uint32_t stop_at;
	/** Ended pulses at which to interrupt: the first order's steps. stop_at interrupts always. */
	uint32_t interrupt_at;
	/** THECAL_MOTOR_PHASE_A or THECAL_MOTOR_PHASE_B. */
	uint32_t first_phase;
	/** Length of every pulse, microseconds. */
	uint32_t pulse_us;
};

/** Time that loading the registers takes, with plenty to spare: 8 ticks are 244 us. */
#define THECAL_STEPPER_LEAST_WAIT_TICKS 8u

/** What the hardware can do. */
struct thecal_stepper_hardware {
	/** Ticks of 32,768 Hz since boot. */
	uint64_t (*now_tick)(void);
	/** Set the counter to 0 and start. Only while halted for THECAL_STEPPER_SETTLE_TICKS and without a pulse. */
	void (*begin)(const struct thecal_stepper_load *load);
	/** Move on the counts of a running plan. */
	void (*extend)(uint32_t stop_at, uint32_t interrupt_at);
	/** No further pulse begins, now. One that has begun ends at its time, and is counted. */
	void (*halt)(void);
	/** Pulses ended since begin(). */
	uint32_t (*pulses_ended)(void);
	/** Whether a phase carries current at this moment. */
	bool (*pulse_active)(void);
	/** Call thecal_stepper_wake() at that tick, once. A later call replaces an earlier one. */
	void (*wake_at)(uint64_t tick);
	/** Do not call it. */
	void (*wake_never)(void);
};

/** The clock is left alone so long after a halt: it needs up to 1.5 ticks to stop and to be set to 0. */
#define THECAL_STEPPER_SETTLE_TICKS 4u

/** The state. Its fields are its own business. */
struct thecal_stepper {
	struct thecal_motor_core core;
	const struct thecal_stepper_hardware *hardware;
	struct thecal_step_plan plan;
	/** Steps of the plan that the core knows of. */
	uint32_t accounted;
	/** No load before: a pulse may be on its way to its end, or the clock to its stop. */
	uint64_t ready_tick;
	/** No step before: the rotor has to rest. */
	uint64_t rested_tick;
	/** Length of the plan's pulses, microseconds. */
	uint32_t pulse_us;
	/** The hardware has a plan. */
	bool loaded;
};

/** Make it and open the interlock. Answers as thecal_motor_core_init() and thecal_motor_core_open(). */
int32_t thecal_stepper_init(struct thecal_stepper *stepper, const struct thecal_stepper_hardware *hardware,
			    const struct thecal_motor_config *config);

/** As thecal_motor_submit(). */
int32_t thecal_stepper_submit(struct thecal_stepper *stepper, const struct thecal_motor_order *order);

/** As thecal_motor_core_arm(), after accounting what was made. */
int32_t thecal_stepper_arm(struct thecal_stepper *stepper, uint32_t hour_steps, uint32_t day_steps);

/** As thecal_motor_core_grant(), after accounting what was made. */
int32_t thecal_stepper_grant(struct thecal_stepper *stepper, uint32_t steps, uint32_t within_s);

/** As thecal_motor_core_save(), after accounting what was made. */
int32_t thecal_stepper_save(struct thecal_stepper *stepper, struct thecal_interlock_history *history);

/** As thecal_motor_core_restore(). */
int32_t thecal_stepper_restore(struct thecal_stepper *stepper, const struct thecal_interlock_history *history);

/** As thecal_motor_cancel(). */
uint32_t thecal_stepper_cancel(struct thecal_stepper *stepper);

/** Account what was made and write the core's part of the status. */
void thecal_stepper_status(struct thecal_stepper *stepper, struct thecal_motor_status *status);

/** Account, drop all orders and close the interlock. The caller has cut the current already. */
void thecal_stepper_off(struct thecal_stepper *stepper);

/** The counter has come to stop_at or interrupt_at. */
void thecal_stepper_interrupt(struct thecal_stepper *stepper);

/** The time asked for by wake_at() has come. */
void thecal_stepper_wake(struct thecal_stepper *stepper);

#endif /* THECAL_STEPPER_H */
