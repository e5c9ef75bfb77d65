/*
 * The emulated motor: core, rotor and encoder decoding. See thecal/motor_emulated.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>

#include "thecal/motor_emulated.h"

/* Indexed by the lines before (bits 3 and 2) and after (bits 1 and 0). Forward is 00, 01, 11, 10. */
static const int8_t decoded[16] = {
	0, 1, -1, THECAL_ENCODER_UNKNOWN, /* from 00 */
	-1, 0, THECAL_ENCODER_UNKNOWN, 1, /* from 01 */
	1, THECAL_ENCODER_UNKNOWN, 0, -1, /* from 10 */
	THECAL_ENCODER_UNKNOWN, -1, 1, 0, /* from 11 */
};

int32_t thecal_encoder_decode(uint32_t before, uint32_t after)
{
	return decoded[((before & 3u) << 2) | (after & 3u)];
}

static void count_pulses(struct thecal_motor_emulated *motor)
{
	while (thecal_rotor_turn(&motor->rotor) != 0u) {
		const uint32_t lines = thecal_rotor_encoder(&motor->rotor);
		const int32_t pulse = thecal_encoder_decode(motor->encoder, lines);

		motor->encoder = lines;
		if (pulse == THECAL_ENCODER_UNKNOWN) {
			motor->core.faults = (uint16_t)(motor->core.faults | THECAL_MOTOR_FAULT_ENCODER);
		} else {
			motor->counted_pulses += pulse;
		}
	}
}

static int32_t boot(struct thecal_motor_emulated *motor, const struct thecal_motor_config *config, uint64_t now_us)
{
	const int32_t refusal = thecal_motor_core_init(&motor->core, config);

	motor->counted_pulses = 0;
	motor->encoder = thecal_rotor_encoder(&motor->rotor);
	motor->reserved = 0u;
	if (refusal != 0) {
		return refusal;
	}
	(void)thecal_motor_core_advance(&motor->core, now_us);
	return thecal_motor_core_open(&motor->core);
}

int32_t thecal_motor_emulated_init(struct thecal_motor_emulated *motor, const struct thecal_motor_config *config,
				   const struct thecal_rotor_parameters *rotor, uint64_t now_us)
{
	thecal_rotor_init(&motor->rotor, rotor, now_us);
	return boot(motor, config, now_us);
}

int32_t thecal_motor_emulated_reboot(struct thecal_motor_emulated *motor, uint64_t now_us)
{
	const struct thecal_motor_config config = motor->core.config;
	const struct thecal_rotor_parameters rotor = motor->rotor.parameters;

	/* A reset cuts the current; the time of the old clock ends a pulse that was long enough. */
	thecal_rotor_phases(&motor->rotor, motor->core.now_us, 0u);
	count_pulses(motor);
	thecal_rotor_change(&motor->rotor, &rotor, now_us);
	return boot(motor, &config, now_us);
}

int32_t thecal_motor_emulated_restart(struct thecal_motor_emulated *motor, uint64_t now_us)
{
	struct thecal_interlock_history history;
	const int32_t nothing = thecal_motor_core_save(&motor->core, motor->core.now_us, &history);
	int32_t refusal = thecal_motor_emulated_reboot(motor, now_us);

	if (refusal == 0 && nothing == 0) {
		refusal = thecal_motor_core_restore(&motor->core, now_us, &history);
	}
	return refusal;
}

int32_t thecal_motor_emulated_arm(struct thecal_motor_emulated *motor, uint64_t now_us, uint32_t hour_steps,
				  uint32_t day_steps)
{
	thecal_motor_emulated_advance_to(motor, now_us);
	return thecal_motor_core_arm(&motor->core, now_us, hour_steps, day_steps);
}

int32_t thecal_motor_emulated_grant(struct thecal_motor_emulated *motor, uint64_t now_us, uint32_t steps,
				    uint32_t within_s)
{
	thecal_motor_emulated_advance_to(motor, now_us);
	return thecal_motor_core_grant(&motor->core, now_us, steps, within_s);
}

void thecal_motor_emulated_advance_to(struct thecal_motor_emulated *motor, uint64_t now_us)
{
	for (;;) {
		const uint64_t core_us = thecal_motor_core_next_event_us(&motor->core);
		const uint64_t rotor_us = thecal_rotor_next_event_us(&motor->rotor);
		const uint64_t at_us = core_us < rotor_us ? core_us : rotor_us;

		if (at_us > now_us || at_us == THECAL_MOTOR_NEVER_US) {
			break;
		}
		if (rotor_us <= core_us) {
			thecal_rotor_advance(&motor->rotor, at_us);
		} else {
			thecal_rotor_phases(&motor->rotor, at_us,
					    thecal_motor_core_advance(&motor->core, at_us));
		}
		count_pulses(motor);
	}
	/* Nothing is due any more: this only tells the core the time. */
	(void)thecal_motor_core_advance(&motor->core, now_us);
}

int32_t thecal_motor_emulated_submit(struct thecal_motor_emulated *motor, uint64_t now_us,
				     const struct thecal_motor_order *order)
{
	thecal_motor_emulated_advance_to(motor, now_us);
	return thecal_motor_core_submit(&motor->core, now_us, order);
}

uint32_t thecal_motor_emulated_cancel(struct thecal_motor_emulated *motor, uint64_t now_us)
{
	thecal_motor_emulated_advance_to(motor, now_us);
	return thecal_motor_core_cancel(&motor->core, now_us);
}

void thecal_motor_emulated_off(struct thecal_motor_emulated *motor, uint64_t now_us)
{
	thecal_motor_emulated_advance_to(motor, now_us);
	thecal_motor_core_off(&motor->core, now_us);
	thecal_rotor_phases(&motor->rotor, motor->core.now_us, 0u);
	count_pulses(motor);
}

uint64_t thecal_motor_emulated_next_event_us(const struct thecal_motor_emulated *motor)
{
	const uint64_t core_us = thecal_motor_core_next_event_us(&motor->core);
	const uint64_t rotor_us = thecal_rotor_next_event_us(&motor->rotor);

	return core_us < rotor_us ? core_us : rotor_us;
}

uint64_t thecal_motor_emulated_order_end_us(const struct thecal_motor_emulated *motor)
{
	return thecal_motor_core_order_end_us(&motor->core);
}

void thecal_motor_emulated_status(struct thecal_motor_emulated *motor, uint64_t now_us,
				  struct thecal_motor_status *status)
{
	thecal_motor_emulated_advance_to(motor, now_us);
	thecal_motor_core_status(&motor->core, now_us, status);
	status->counted_pulses = motor->counted_pulses;
}

void thecal_motor_emulated_change_rotor(struct thecal_motor_emulated *motor, uint64_t now_us,
					const struct thecal_rotor_parameters *rotor)
{
	thecal_motor_emulated_advance_to(motor, now_us);
	thecal_rotor_change(&motor->rotor, rotor, motor->core.now_us);
}

int64_t thecal_motor_emulated_position(const struct thecal_motor_emulated *motor)
{
	return motor->rotor.position;
}
