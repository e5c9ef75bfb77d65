/*
 * The rotor model: which pulses turn it, what the encoder shows, how faults and chance behave.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "check.h"
#include "thecal/motor_core.h"
#include "thecal/motor_emulated.h"
#include "thecal/rotor.h"

#define PULSE_US 2000u

static const struct thecal_rotor_parameters faultless = {
	.seed = 1u,
	.minimum_pulse_us = PULSE_US,
	.steps_per_encoder_pulse = 1u,
};

static struct thecal_rotor rotor_of(const struct thecal_rotor_parameters *parameters)
{
	struct thecal_rotor rotor;

	thecal_rotor_init(&rotor, parameters, 0u);
	return rotor;
}

static int64_t turn_all(struct thecal_rotor *rotor)
{
	while (thecal_rotor_turn(rotor) != 0u) {
	}
	return rotor->position;
}

/* One pulse, then rest. */
static int64_t pulse(struct thecal_rotor *rotor, uint64_t *now_us, uint32_t phases, uint64_t length_us)
{
	thecal_rotor_phases(rotor, *now_us, phases);
	*now_us += length_us;
	thecal_rotor_phases(rotor, *now_us, 0u);
	*now_us += PULSE_US;
	return turn_all(rotor);
}

static void only_the_right_phase_long_enough_turns_it(void)
{
	for (uint32_t phases = 0u; phases <= 3u; phases++) {
		for (uint32_t odd = 0u; odd <= 1u; odd++) {
			for (uint64_t length_us = PULSE_US - 2u; length_us <= PULSE_US + 2u; length_us++) {
				struct thecal_rotor rotor = rotor_of(&faultless);
				uint64_t now_us = 0u;
				const bool turns = phases == (odd != 0u ? THECAL_MOTOR_PHASE_B : THECAL_MOTOR_PHASE_A) &&
						   length_us >= PULSE_US;

				if (odd != 0u) {
					CHECK_EQUAL(pulse(&rotor, &now_us, THECAL_MOTOR_PHASE_A, PULSE_US), 1);
				}
				CHECK_EQUAL(pulse(&rotor, &now_us, phases, length_us), odd + (turns ? 1u : 0u));
			}
		}
	}
}

static void it_follows_the_alternation_and_nothing_else(void)
{
	struct thecal_rotor rotor = rotor_of(&faultless);
	uint64_t now_us = 0u;

	for (int64_t step = 0; step < 100; step++) {
		const uint32_t right = step % 2 == 0 ? THECAL_MOTOR_PHASE_A : THECAL_MOTOR_PHASE_B;

		CHECK_EQUAL(pulse(&rotor, &now_us, right ^ 3u, PULSE_US), step);
		CHECK_EQUAL(pulse(&rotor, &now_us, 3u, PULSE_US), step);
		CHECK_EQUAL(pulse(&rotor, &now_us, right, PULSE_US - 1u), step);
		CHECK_EQUAL(pulse(&rotor, &now_us, right, PULSE_US), step + 1);
		CHECK_EQUAL(pulse(&rotor, &now_us, right, PULSE_US), step + 1);
	}
	/* From phase to phase without a rest: each pulse counts by itself. */
	thecal_rotor_phases(&rotor, now_us, THECAL_MOTOR_PHASE_A);
	thecal_rotor_phases(&rotor, now_us + PULSE_US, THECAL_MOTOR_PHASE_B);
	CHECK_EQUAL(turn_all(&rotor), 101);
	thecal_rotor_phases(&rotor, now_us + 2u * PULSE_US, 0u);
	CHECK_EQUAL(turn_all(&rotor), 102);
}

static void decoding_knows_every_pair_of_lines(void)
{
	/* Forward is 00, 01, 11, 10; by place in that order. */
	static const uint32_t lines[4] = {0u, 1u, 3u, 2u};
	static const int32_t meaning[4] = {0, 1, THECAL_ENCODER_UNKNOWN, -1};

	for (uint32_t before = 0u; before < 4u; before++) {
		for (uint32_t after = 0u; after < 4u; after++) {
			CHECK_EQUAL(thecal_encoder_decode(lines[before], lines[after]),
				    meaning[(after + 4u - before) % 4u]);
			/* Bits that are no lines are not looked at. */
			CHECK_EQUAL(thecal_encoder_decode(lines[before] | 0xF0u, lines[after] | 0xFFFFFFF0u),
				    meaning[(after + 4u - before) % 4u]);
		}
	}
}

static void the_lines_tell_the_position(void)
{
	for (uint32_t per_pulse = 0u; per_pulse <= 7u; per_pulse++) {
		for (uint8_t reversed = 0u; reversed <= 1u; reversed++) {
			struct thecal_rotor_parameters parameters = faultless;
			struct thecal_rotor rotor;
			uint64_t now_us = 0u;
			uint32_t lines;
			int64_t counted = 0;

			parameters.steps_per_encoder_pulse = per_pulse;
			parameters.reversed = reversed;
			rotor = rotor_of(&parameters);
			lines = thecal_rotor_encoder(&rotor);
			CHECK_EQUAL(lines, 0);
			for (int64_t step = 1; step <= 60; step++) {
				const int64_t divisor = per_pulse == 0u ? 1 : (int64_t)per_pulse;
				const int64_t position = reversed != 0u ? -step : step;
				int32_t seen;

				CHECK_EQUAL(pulse(&rotor, &now_us,
						  step % 2 == 1 ? THECAL_MOTOR_PHASE_A : THECAL_MOTOR_PHASE_B, PULSE_US),
					    position);
				seen = thecal_encoder_decode(lines, thecal_rotor_encoder(&rotor));
				CHECK(seen != THECAL_ENCODER_UNKNOWN);
				counted += seen;
				lines = thecal_rotor_encoder(&rotor);
				/* Rounded down, on both sides of 0. */
				CHECK_EQUAL(counted, (position - (((position % divisor) + divisor) % divisor)) / divisor);
			}
		}
	}
}

static void a_slip_costs_two_steps(void)
{
	struct thecal_rotor_parameters slipping = faultless;
	struct thecal_rotor rotor = rotor_of(&faultless);
	uint64_t now_us = 0u;

	slipping.slip_one_in = 1u;
	CHECK_EQUAL(pulse(&rotor, &now_us, THECAL_MOTOR_PHASE_A, PULSE_US), 1);
	thecal_rotor_change(&rotor, &slipping, now_us);
	CHECK_EQUAL(pulse(&rotor, &now_us, THECAL_MOTOR_PHASE_B, PULSE_US), 1);
	thecal_rotor_change(&rotor, &faultless, now_us);
	CHECK_EQUAL(pulse(&rotor, &now_us, THECAL_MOTOR_PHASE_A, PULSE_US), 1);
	CHECK_EQUAL(pulse(&rotor, &now_us, THECAL_MOTOR_PHASE_B, PULSE_US), 2);
}

static void a_stalled_rotor_never_turns(void)
{
	struct thecal_rotor_parameters stalled = faultless;
	struct thecal_rotor rotor;
	uint64_t now_us = 0u;

	stalled.stalled = 1u;
	stalled.runaway_period_us = 10u;
	stalled.extra_one_in = 1u;
	rotor = rotor_of(&stalled);
	for (unsigned step = 0u; step < 100u; step++) {
		CHECK_EQUAL(pulse(&rotor, &now_us, THECAL_MOTOR_PHASE_A, PULSE_US), 0);
		CHECK_EQUAL(pulse(&rotor, &now_us, THECAL_MOTOR_PHASE_B, PULSE_US), 0);
		thecal_rotor_advance(&rotor, now_us);
		CHECK_EQUAL(turn_all(&rotor), 0);
	}
}

static void it_runs_by_itself_when_told_to(void)
{
	struct thecal_rotor_parameters running = faultless;
	struct thecal_rotor rotor = rotor_of(&faultless);

	CHECK(thecal_rotor_next_event_us(&rotor) == UINT64_MAX);
	running.runaway_period_us = 1000u;
	thecal_rotor_change(&rotor, &running, 500u);
	CHECK_EQUAL(thecal_rotor_next_event_us(&rotor), 1500);
	thecal_rotor_advance(&rotor, 1499u);
	CHECK_EQUAL(turn_all(&rotor), 0);
	thecal_rotor_advance(&rotor, 1500u);
	CHECK_EQUAL(turn_all(&rotor), 2);
	thecal_rotor_advance(&rotor, 4600u);
	CHECK_EQUAL(turn_all(&rotor), 8);
	thecal_rotor_change(&rotor, &faultless, 5000u);
	CHECK(thecal_rotor_next_event_us(&rotor) == UINT64_MAX);
	/* At the end of time there is no next time. */
	thecal_rotor_change(&rotor, &running, UINT64_MAX - 999u);
	CHECK(thecal_rotor_next_event_us(&rotor) == UINT64_MAX);
	thecal_rotor_change(&rotor, &running, UINT64_MAX - 1000u);
	CHECK(thecal_rotor_next_event_us(&rotor) == UINT64_MAX);
	thecal_rotor_advance(&rotor, UINT64_MAX);
	CHECK_EQUAL(turn_all(&rotor), 8);
}

/* One in n by chance: over many, within five standard deviations. */
static void chance_is_as_often_as_it_says(void)
{
	enum { PULSES = 20000 };
	static const uint32_t one_ins[] = {2u, 3u, 10u, 100u};

	for (size_t index = 0u; index < COUNT_OF(one_ins); index++) {
		const uint32_t one_in = one_ins[index];

		for (unsigned kind = 0u; kind < 3u; kind++) {
			struct thecal_rotor_parameters parameters = faultless;
			struct thecal_rotor rotor;
			uint64_t now_us = 0u;
			int64_t happened;
			int64_t tried = PULSES;
			int64_t expected;
			int64_t variance;

			parameters.slip_one_in = kind == 0u ? one_in : 0u;
			parameters.lost_pulse_one_in = kind == 1u ? one_in : 0u;
			parameters.extra_one_in = kind == 2u ? one_in : 0u;
			rotor = rotor_of(&parameters);
			for (unsigned step = 0u; step < PULSES; step++) {
				(void)pulse(&rotor, &now_us, step % 2u == 0u ? THECAL_MOTOR_PHASE_A : THECAL_MOTOR_PHASE_B,
					    PULSE_US);
			}
			if (kind == 0u) {
				/* Each slip takes the pulse after it along. */
				happened = (PULSES - rotor.position) / 2;
				tried = PULSES - happened;
			} else if (kind == 1u) {
				CHECK_EQUAL(rotor.position, PULSES);
				happened = rotor.position - rotor.shown;
			} else {
				CHECK_EQUAL(rotor.position, rotor.shown);
				happened = (rotor.position - PULSES) / 2;
			}
			expected = tried / one_in;
			variance = expected * (one_in - 1) / one_in + 1;
			CHECK((happened - expected) * (happened - expected) <= 25 * variance);
		}
	}
}

static void the_same_seed_gives_the_same_run(void)
{
	struct thecal_rotor_parameters parameters = faultless;
	int64_t shown[3][200];
	unsigned differences = 0u;

	parameters.slip_one_in = 5u;
	parameters.lost_pulse_one_in = 3u;
	parameters.extra_one_in = 7u;
	for (unsigned run = 0u; run < 3u; run++) {
		struct thecal_rotor rotor;
		uint64_t now_us = 0u;

		parameters.seed = run == 2u ? 9u : 8u;
		rotor = rotor_of(&parameters);
		for (unsigned step = 0u; step < 200u; step++) {
			(void)pulse(&rotor, &now_us, step % 2u == 0u ? THECAL_MOTOR_PHASE_A : THECAL_MOTOR_PHASE_B, PULSE_US);
			shown[run][step] = rotor.shown;
		}
	}
	CHECK(memcmp(shown[0], shown[1], sizeof(shown[0])) == 0);
	for (unsigned step = 0u; step < 200u; step++) {
		differences += shown[0][step] != shown[2][step] ? 1u : 0u;
	}
	CHECK(differences > 100u);
}

int main(void)
{
	RUN(only_the_right_phase_long_enough_turns_it);
	RUN(it_follows_the_alternation_and_nothing_else);
	RUN(decoding_knows_every_pair_of_lines);
	RUN(the_lines_tell_the_position);
	RUN(a_slip_costs_two_steps);
	RUN(a_stalled_rotor_never_turns);
	RUN(it_runs_by_itself_when_told_to);
	RUN(chance_is_as_often_as_it_says);
	RUN(the_same_seed_gives_the_same_run);
	return checked("rotor");
}
