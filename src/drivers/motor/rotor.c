/*
 * The emulated rotor. See thecal/rotor.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdbool.h>
#include <stdint.h>

#include "thecal/motor_core.h"
#include "thecal/rotor.h"

/* One revolution of a two-pole rotor. */
#define STEPS_PER_REVOLUTION 2u

/* SplitMix64 (Steele, Lea, Flood 2014): small, and good from any seed, also 0. */
static uint64_t next_chance(struct thecal_rotor *rotor)
{
	uint64_t value;

	rotor->chance += 0x9E3779B97F4A7C15u;
	value = rotor->chance;
	value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
	value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
	return value ^ (value >> 31);
}

static bool happens(struct thecal_rotor *rotor, uint32_t one_in)
{
	return one_in != 0u && next_chance(rotor) % one_in == 0u;
}

/* The encoder pulse that a position belongs to: rounded down, also below zero. */
static int64_t pulse_of(int64_t position, uint32_t steps_per_pulse)
{
	const int64_t divisor = steps_per_pulse == 0u ? 1 : (int64_t)steps_per_pulse;
	const int64_t quotient = position / divisor;

	return position % divisor < 0 ? quotient - 1 : quotient;
}

static void plan_runaway(struct thecal_rotor *rotor, uint64_t now_us)
{
	const uint64_t period_us = rotor->parameters.runaway_period_us;

	rotor->runaway_at_us =
		period_us == 0u || now_us > UINT64_MAX - period_us ? UINT64_MAX : now_us + period_us;
}

static void will_turn(struct thecal_rotor *rotor, uint32_t steps)
{
	if (rotor->parameters.stalled == 0u && rotor->pending <= UINT32_MAX - steps) {
		rotor->pending += steps;
	}
}

/* A pulse is over that was long enough. */
static void pull(struct thecal_rotor *rotor, uint32_t phases)
{
	const bool odd = ((uint64_t)rotor->position & 1u) != 0u;

	if (phases != (odd ? THECAL_MOTOR_PHASE_B : THECAL_MOTOR_PHASE_A)) {
		return;
	}
	if (happens(rotor, rotor->parameters.slip_one_in)) {
		return;
	}
	will_turn(rotor, 1u);
	/* A whole revolution: half of one would only make the next pulse find the rotor where it pulls it to. */
	if (happens(rotor, rotor->parameters.extra_one_in)) {
		will_turn(rotor, STEPS_PER_REVOLUTION);
	}
}

void thecal_rotor_init(struct thecal_rotor *rotor, const struct thecal_rotor_parameters *parameters, uint64_t now_us)
{
	*rotor = (struct thecal_rotor){
		.parameters = *parameters,
		.chance = parameters->seed,
		.phases_since_us = now_us,
	};
	plan_runaway(rotor, now_us);
}

void thecal_rotor_change(struct thecal_rotor *rotor, const struct thecal_rotor_parameters *parameters,
			 uint64_t now_us)
{
	rotor->parameters = *parameters;
	plan_runaway(rotor, now_us);
}

void thecal_rotor_phases(struct thecal_rotor *rotor, uint64_t at_us, uint32_t phases)
{
	if (phases == rotor->phases) {
		return;
	}
	if (at_us >= rotor->phases_since_us &&
	    at_us - rotor->phases_since_us >= rotor->parameters.minimum_pulse_us) {
		pull(rotor, rotor->phases);
	}
	rotor->phases = (uint8_t)phases;
	rotor->phases_since_us = at_us;
}

uint64_t thecal_rotor_next_event_us(const struct thecal_rotor *rotor)
{
	return rotor->runaway_at_us;
}

void thecal_rotor_advance(struct thecal_rotor *rotor, uint64_t at_us)
{
	while (rotor->runaway_at_us <= at_us && rotor->runaway_at_us != UINT64_MAX) {
		will_turn(rotor, STEPS_PER_REVOLUTION);
		plan_runaway(rotor, rotor->runaway_at_us);
	}
}

uint32_t thecal_rotor_turn(struct thecal_rotor *rotor)
{
	const int64_t direction = rotor->parameters.reversed != 0u ? -1 : 1;
	int64_t before;

	if (rotor->again != 0) {
		rotor->shown += rotor->again;
		rotor->again = 0;
		return 1u;
	}
	if (rotor->pending == 0u) {
		return 0u;
	}
	rotor->pending -= 1u;
	before = pulse_of(rotor->position, rotor->parameters.steps_per_encoder_pulse);
	rotor->position += direction;
	if (pulse_of(rotor->position, rotor->parameters.steps_per_encoder_pulse) != before &&
	    !happens(rotor, rotor->parameters.lost_pulse_one_in)) {
		rotor->shown += direction;
		if (happens(rotor, rotor->parameters.double_pulse_one_in)) {
			rotor->again = direction < 0 ? -1 : 1;
		}
	}
	return 1u;
}

uint32_t thecal_rotor_encoder(const struct thecal_rotor *rotor)
{
	static const uint8_t lines[4] = {0x0u, 0x1u, 0x3u, 0x2u};

	return lines[(uint64_t)rotor->shown & 3u];
}
