/*
 * The motor, as Rust and C both see it: orders in, status out.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Only fixed-width integers cross this border: no enum, no bitfield, no float, no callback. Times are microseconds
 * since boot, the same that the kernel's uptime counts.
 */
#ifndef THECAL_MOTOR_H
#define THECAL_MOTOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most steps of one order: a hardware quadrature counter of 11 bits read once an order cannot saturate. */
#define THECAL_MOTOR_MAXIMUM_STEPS 500u
/** An order's last step lies at most this far ahead of the call, and its first this far before its last. */
#define THECAL_MOTOR_HORIZON_US 60000000u
/** An order whose first step is older than this is a mistake, not a delay. */
#define THECAL_MOTOR_OLDEST_US 1000000u
/** Orders held at once: the running one and the next. */
#define THECAL_MOTOR_ORDERS 2u

/* Negative answers. The numbers are errno's, alike in every C library we use (asserted in motor_core.c). */
/** The hard ceiling would be passed (EPERM). */
#define THECAL_MOTOR_CEILING (-1)
/** The pump has not armed the interlock: no allowance, no step (ENOENT). */
#define THECAL_MOTOR_NOT_ARMED (-2)
/** The interlock is not open (EACCES). */
#define THECAL_MOTOR_CLOSED (-13)
/** Two orders are held already, or this one would overlap the one before it; of grants: too many are in force (EBUSY). */
#define THECAL_MOTOR_BUSY (-16)
/** There is no motor device, or it did not start (ENODEV). */
#define THECAL_MOTOR_ABSENT (-19)
/** No steps, too many, too far ahead, too old, or faster than the motor may turn (EINVAL). */
#define THECAL_MOTOR_INVALID (-22)
/** The armed allowance of the hour or the day would be passed (ENOSPC). */
#define THECAL_MOTOR_ALLOWANCE (-28)

/* Fault flags, latched until the next boot. */
/** A step of an accepted order met the hard ceiling: the orders were dropped. */
#define THECAL_MOTOR_FAULT_CEILING 0x0001u
/** The interlock tripped. */
#define THECAL_MOTOR_FAULT_INTERLOCK 0x0002u
/** Both encoder lines changed at once: a pulse of unknown direction was not counted. */
#define THECAL_MOTOR_FAULT_ENCODER 0x0004u
/** The hardware's encoder counter was full: pulses were lost. */
#define THECAL_MOTOR_FAULT_ENCODER_FULL 0x0008u
/** A step began more than THECAL_MOTOR_LATE_US after its time. */
#define THECAL_MOTOR_FAULT_LATE 0x0010u
/** The step hardware made another number of steps than was ordered. */
#define THECAL_MOTOR_FAULT_HARDWARE 0x0020u
/** A step of an accepted order met the armed allowance: the orders were dropped, and the interlock has tripped. */
#define THECAL_MOTOR_FAULT_ALLOWANCE 0x0040u
/** How late a step may begin unremarked: what a halt of the processor may cost (docs/architecture.md). */
#define THECAL_MOTOR_LATE_US 5000u

/*
 * How hard the rotor is driven: a pulse on level n lasts (n + 1) / 2 of phase-time-us, so 1, 1.5 and 2 of it. A longer
 * pulse is what such a motor has to raise: the current of its coil follows from voltage and resistance, and the charge
 * of a pulse from its length. A rotor that did not turn is tried again on a higher level.
 */
#define THECAL_MOTOR_LEVEL_NOMINAL 1u
#define THECAL_MOTOR_LEVEL_RAISED  2u
#define THECAL_MOTOR_LEVEL_HIGHEST 3u

/** Steps to be made: step k (from 0) at first_at_us + k * period_ns / 1000, rounded down to the microsecond. */
struct thecal_motor_order {
	/** Time of the first step, microseconds since boot. */
	uint64_t first_at_us;
	/** Time between two steps, nanoseconds. Not looked at when there is one step. */
	uint64_t period_ns;
	/** Chosen by whoever orders; comes back in the status. Any number. */
	uint32_t id;
	/** 1 to THECAL_MOTOR_MAXIMUM_STEPS. */
	uint32_t steps;
	/** THECAL_MOTOR_LEVEL_*. Above the nominal one, the shortest step interval is longer by what the pulse is. */
	uint8_t level;
	uint8_t reserved[7];
};
_Static_assert(sizeof(struct thecal_motor_order) == 32, "layout is shared with Rust");

/** What the motor has done since boot. */
struct thecal_motor_status {
	/** When this was true, microseconds since boot. */
	uint64_t at_us;
	/** Steps begun since boot. */
	uint64_t commanded_steps;
	/** Encoder pulses since boot, forward minus backward. */
	int64_t counted_pulses;
	/** Orders that ended since boot: completed, cancelled or dropped. */
	uint32_t orders_ended;
	/** Identifier of the running order; of the next if none has begun. Holds when orders_held is not 0. */
	uint32_t running_order;
	/** Steps of that order still to be made. */
	uint32_t steps_left;
	/** Identifier of the order that ended last; of the running one if it was dropped together with the next. Holds
	 *  when orders_ended is not 0. */
	uint32_t last_order;
	/** Steps really made of that order. */
	uint32_t last_order_steps;
	/** Steps for one encoder pulse, 1 and more. */
	uint32_t steps_per_encoder_pulse;
	/** Orders held, 0 to THECAL_MOTOR_ORDERS. */
	uint16_t orders_held;
	/** THECAL_INTERLOCK_*. */
	uint16_t interlock;
	/** THECAL_MOTOR_FAULT_*. */
	uint16_t faults;
	/** 1 when the interlock has an allowance, 0 when it was not armed yet. */
	uint16_t armed;
};
_Static_assert(sizeof(struct thecal_motor_status) == 56, "layout is shared with Rust");

/*
 * Entry points for Rust on the device, over the one chosen motor (device tree: chosen, thecal,motor). On the host they
 * do not exist; the emulated motor of motor_emulated.h is an object there.
 */

/**
 * Hand over an order. Callable from one thread at a time, together with cancel(), arm(), grant() and resume(): these
 * keep what is to survive a reset (thecal/retained.h). What they keep counts every step handed over as made.
 *
 * @retval 0        accepted: it will be made without further help, and the motor stops after it if none follows
 * @retval -EINVAL  THECAL_MOTOR_INVALID
 * @retval -EBUSY   THECAL_MOTOR_BUSY
 * @retval -EACCES  THECAL_MOTOR_CLOSED
 * @retval -EPERM   THECAL_MOTOR_CEILING
 * @retval -ENOENT  THECAL_MOTOR_NOT_ARMED
 * @retval -ENOSPC  THECAL_MOTOR_ALLOWANCE
 * @retval -ENODEV  THECAL_MOTOR_ABSENT
 */
int32_t thecal_motor_submit(const struct thecal_motor_order *order);

/**
 * Drop all orders. A pulse that has begun is finished, its step counted.
 *
 * @return steps really made of the orders dropped
 */
uint32_t thecal_motor_cancel(void);

/**
 * At boot, before arm() and before the first order: go on with the steps, allowances and grants that survived the
 * reset; or, after a loss of power, forget them.
 *
 * @param warm  not 0: power was there all the time, so what was kept is believed
 * @retval 0        gone on: armed as before the reset
 * @retval -ENOENT  THECAL_MOTOR_NOT_ARMED: nothing was kept, or it was forgotten; arm() it
 * @retval -EACCES  THECAL_MOTOR_CLOSED, or armed already
 * @retval -ENODEV  THECAL_MOTOR_ABSENT
 */
int32_t thecal_motor_resume(uint32_t warm);

/** As thecal_interlock_arm(), now; -ENODEV: THECAL_MOTOR_ABSENT. */
int32_t thecal_motor_arm(uint32_t hour_steps, uint32_t day_steps);

/** As thecal_interlock_grant(), now; -ENODEV: THECAL_MOTOR_ABSENT. */
int32_t thecal_motor_grant(uint32_t steps, uint32_t within_s);

/**
 * Read what was done so far.
 *
 * @retval 0        written
 * @retval -ENODEV  THECAL_MOTOR_ABSENT; nothing written
 */
int32_t thecal_motor_status(struct thecal_motor_status *status);

/**
 * Cut the current at once and close the interlock until the next boot. Callable from the fatal error handler, with
 * interrupts locked, before the device has started, and more than once.
 */
void thecal_motor_off(void);

#ifdef __cplusplus
}
#endif

#endif /* THECAL_MOTOR_H */
