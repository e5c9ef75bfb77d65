/*
 * The emulated motor: core, rotor and encoder decoding in one object.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The Zephyr driver of thecal,peristaltic-pump-emul and the simulator run this same code. Time moves by advance_to()
 * alone, which runs every event up to that time in order and at its own time, however late the call: as on the chip,
 * where hardware makes the steps, a halted processor delays none. No I/O, no clock, no lock.
 */
#ifndef THECAL_MOTOR_EMULATED_H
#define THECAL_MOTOR_EMULATED_H

#include <stdint.h>

#include "motor_core.h"
#include "rotor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The object. Its fields are its own business. */
struct thecal_motor_emulated {
	struct thecal_motor_core core;
	struct thecal_rotor rotor;
	int64_t counted_pulses;
	/** The encoder lines as they were read last. */
	uint32_t encoder;
	uint32_t reserved;
};
_Static_assert(sizeof(struct thecal_motor_emulated) ==
		       sizeof(struct thecal_motor_core) + sizeof(struct thecal_rotor) + 16,
	       "layout is shared with Rust");

/** What two successive readings of the encoder lines mean. */
#define THECAL_ENCODER_UNKNOWN 2

/**
 * Decode a change of the encoder lines (bit 0 line A, bit 1 line B).
 *
 * @return 1 forward, -1 backward, 0 no change, THECAL_ENCODER_UNKNOWN both lines changed
 */
int32_t thecal_encoder_decode(uint32_t before, uint32_t after);

/**
 * Boot with a new rotor, at time now_us of the pump's clock (0 after a power cut).
 *
 * @retval 0        ready and open
 * @retval -EINVAL  as thecal_motor_core_init()
 */
int32_t thecal_motor_emulated_init(struct thecal_motor_emulated *motor, const struct thecal_motor_config *config,
				   const struct thecal_rotor_parameters *rotor, uint64_t now_us);

/**
 * Boot with the rotor that is there, after a loss of power: orders, totals and the interlock's history are lost, the
 * rotor's angle is not, and now_us may be anything (a boot starts the clock again). Answers as init().
 */
int32_t thecal_motor_emulated_reboot(struct thecal_motor_emulated *motor, uint64_t now_us);

/** As reboot(), but with power: the interlock goes on with its history and allowances, if it was armed and whole. */
int32_t thecal_motor_emulated_restart(struct thecal_motor_emulated *motor, uint64_t now_us);

/** Run to now_us, then as thecal_motor_core_arm(). */
int32_t thecal_motor_emulated_arm(struct thecal_motor_emulated *motor, uint64_t now_us, uint32_t hour_steps,
				  uint32_t day_steps);

/** Run to now_us, then as thecal_motor_core_grant(). */
int32_t thecal_motor_emulated_grant(struct thecal_motor_emulated *motor, uint64_t now_us, uint32_t steps,
				    uint32_t within_s);

/** Run to now_us, then as thecal_motor_core_submit(). */
int32_t thecal_motor_emulated_submit(struct thecal_motor_emulated *motor, uint64_t now_us,
				     const struct thecal_motor_order *order);

/** Run to now_us, then as thecal_motor_core_cancel(). */
uint32_t thecal_motor_emulated_cancel(struct thecal_motor_emulated *motor, uint64_t now_us);

/** Run to now_us, then as thecal_motor_core_off(). */
void thecal_motor_emulated_off(struct thecal_motor_emulated *motor, uint64_t now_us);

/** When something next happens by itself; THECAL_MOTOR_NEVER_US if nothing will. */
uint64_t thecal_motor_emulated_next_event_us(const struct thecal_motor_emulated *motor);

/** When the running order will have ended; THECAL_MOTOR_NEVER_US without one. The one wake-up an order needs. */
uint64_t thecal_motor_emulated_order_end_us(const struct thecal_motor_emulated *motor);

/** Run all events up to and including now_us. A time before an earlier one changes nothing. */
void thecal_motor_emulated_advance_to(struct thecal_motor_emulated *motor, uint64_t now_us);

/** Run to now_us and write the status. */
void thecal_motor_emulated_status(struct thecal_motor_emulated *motor, uint64_t now_us,
				  struct thecal_motor_status *status);

/** Run to now_us and change what the rotor is like. */
void thecal_motor_emulated_change_rotor(struct thecal_motor_emulated *motor, uint64_t now_us,
					const struct thecal_rotor_parameters *rotor);

/** Steps the rotor has really turned since init(), whatever core and encoder believe. */
int64_t thecal_motor_emulated_position(const struct thecal_motor_emulated *motor);

#ifdef __cplusplus
}
#endif

#endif /* THECAL_MOTOR_EMULATED_H */
