/*
 * The emulated motor: whole days of delivery against the prescription, and everything put together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "thecal/motor_emulated.h"

#define SECOND_US   1000000u
#define DAY_US      86400000000u
#define WINDOW_US   30000000u
#define PHASE_US    3000u
#define STEP_FL     2500000u /* 2.5 nL, clinical.md 2.10 */

static const struct thecal_motor_config implant = {
	.phase_time_us = PHASE_US,
	.maximum_step_rate = 200u,
	.ceiling_steps = 440000u,
	.ceiling_window_ms = 3600000u,
	.steps_per_encoder_pulse = 1u,
};

static const struct thecal_rotor_parameters faultless = {
	.seed = 1u,
	.minimum_pulse_us = 2000u,
	.steps_per_encoder_pulse = 1u,
};

static struct thecal_motor_emulated motor_of(const struct thecal_motor_config *config,
					     const struct thecal_rotor_parameters *rotor)
{
	struct thecal_motor_emulated motor;

	CHECK_EQUAL(thecal_motor_emulated_init(&motor, config, rotor, 0u), 0);
	CHECK_EQUAL(thecal_motor_emulated_arm(&motor, 0u, UINT32_MAX, UINT32_MAX), 0);
	return motor;
}

static struct thecal_motor_order order_of(uint64_t first_at_us, uint64_t period_ns, uint32_t steps)
{
	return (struct thecal_motor_order){
		.first_at_us = first_at_us, .period_ns = period_ns, .id = 77u, .steps = steps, .level = 1u};
}

static struct thecal_motor_status status_of(struct thecal_motor_emulated *motor, uint64_t now_us)
{
	struct thecal_motor_status status;

	memset(&status, 0xA5, sizeof(status));
	thecal_motor_emulated_status(motor, now_us, &status);
	return status;
}

/* Steps prescribed in so much time: whole ones, rounded down. */
static uint64_t prescribed(uint64_t nanolitres_per_day, uint64_t elapsed_us)
{
	return (uint64_t)((unsigned __int128)nanolitres_per_day * 1000000u * elapsed_us /
			  ((unsigned __int128)DAY_US * STEP_FL));
}

/* When step k (from 1) falls due: the first microsecond at which k are prescribed. */
static uint64_t time_of_step(uint64_t nanolitres_per_day, uint64_t k)
{
	const unsigned __int128 rate = (unsigned __int128)nanolitres_per_day * 1000000u;

	return (uint64_t)(((unsigned __int128)k * DAY_US * STEP_FL + rate - 1u) / rate);
}

/*
 * Days at one rate. The orders are cut as `therapy` cuts them (30 s windows, 500 steps at most); the motor is looked at
 * at odd moments and must be within one step of the prescription in commands and in what its encoder counted.
 */
static void deliver_days(uint64_t nanolitres_per_day, uint64_t days)
{
	struct thecal_motor_emulated motor = motor_of(&implant, &faultless);
	const unsigned __int128 rate = (unsigned __int128)nanolitres_per_day * 1000000u;
	const uint64_t period_ns = (uint64_t)((unsigned __int128)DAY_US * 1000u * STEP_FL / rate);
	uint64_t chance = nanolitres_per_day;
	uint64_t ordered = 0u;
	uint64_t now_us = 0u;
	uint32_t id = 0u;

	while (now_us < days * DAY_US) {
		struct thecal_motor_status status;
		uint64_t seen;

		while (motor.core.orders_held < THECAL_MOTOR_ORDERS) {
			struct thecal_motor_order order;
			uint64_t steps;

			order.first_at_us = time_of_step(nanolitres_per_day, ordered + 1u);
			/* One step at least, however slow; whatever else falls into the window. */
			steps = prescribed(nanolitres_per_day, order.first_at_us + WINDOW_US) - ordered;
			if (order.first_at_us > now_us + WINDOW_US) {
				break;
			}
			order.steps = (uint32_t)(steps < 1u ? 1u : steps > 500u ? 500u : steps);
			order.period_ns = period_ns;
			order.level = THECAL_MOTOR_LEVEL_NOMINAL;
			order.id = ++id;
			if (order.first_at_us + (order.steps - 1u) * period_ns / 1000u > now_us + 2u * WINDOW_US) {
				break;
			}
			CHECK_EQUAL(thecal_motor_emulated_submit(&motor, now_us, &order), 0);
			ordered += order.steps;
		}
		/* To the end of the order, but with a look in between. */
		seen = thecal_motor_emulated_order_end_us(&motor);
		if (seen == THECAL_MOTOR_NEVER_US) {
			now_us += WINDOW_US;
		} else if (test_random(&chance) % 2u == 0u && seen > now_us + 1u) {
			now_us += 1u + test_random(&chance) % (seen - now_us);
		} else {
			now_us = seen;
		}
		status = status_of(&motor, now_us);
		seen = prescribed(nanolitres_per_day, now_us);
		CHECK(status.commanded_steps + 1u >= seen && status.commanded_steps <= seen + 1u);
		/* The pulse of the newest step may not be over yet. */
		CHECK(status.counted_pulses == (int64_t)status.commanded_steps ||
		      status.counted_pulses + 1 == (int64_t)status.commanded_steps);
		CHECK_EQUAL(status.faults, 0);
		if (check_failures != 0u) {
			return;
		}
	}
	CHECK(motor.core.commanded_steps + 1u >= prescribed(nanolitres_per_day, days * DAY_US));
	CHECK_EQUAL(thecal_motor_emulated_position(&motor), motor.counted_pulses);
}

/* Requirement: AC-1 */
static void ten_days_at_the_lowest_therapeutic_rate(void)
{
	deliver_days(48u * 1000u, 10u);
}

/* Requirement: AC-1 */
static void ten_days_at_a_usual_rate(void)
{
	deliver_days(250u * 1000u, 10u);
}

/* Requirement: AC-1 */
static void ten_days_at_the_highest_rate(void)
{
	deliver_days(24000u * 1000u, 10u);
}

/* Requirement: AC-1 */
static void ten_days_at_awkward_rates(void)
{
	deliver_days(6u * 1000u, 10u); /* the minimum rate: a step every 36 s */
	deliver_days(48123u, 10u);
	deliver_days(317777u, 10u);
	deliver_days(1234567u, 10u);
}

/* However time is moved on, by the event, by the microsecond's odd multiple or a minute at once: the same motor. */
static void how_time_moves_makes_no_difference(void)
{
	static const uint64_t strides_us[] = {0u /* by the event */, 999u, 3000u, 100003u, 60000000u};
	struct thecal_motor_emulated wanted;
	struct thecal_rotor_parameters rotor = faultless;

	rotor.slip_one_in = 9u;
	rotor.lost_pulse_one_in = 7u;
	rotor.extra_one_in = 5u;
	rotor.runaway_period_us = 777777u;
	for (size_t index = 0u; index < COUNT_OF(strides_us); index++) {
		struct thecal_motor_emulated motor = motor_of(&implant, &rotor);

		for (uint64_t round = 0u; round < 10u; round++) {
			const uint64_t start_us = round * 60000000u;
			const struct thecal_motor_order first = order_of(start_us + 5u, 60000001u, 333u);
			const struct thecal_motor_order then = order_of(start_us + 20000000u, 5000000u, 500u);
			uint64_t now_us = start_us;

			CHECK_EQUAL(thecal_motor_emulated_submit(&motor, start_us, &first), 0);
			CHECK_EQUAL(thecal_motor_emulated_submit(&motor, start_us, &then), 0);
			while (now_us < start_us + 59999999u) {
				const uint64_t event_us = thecal_motor_emulated_next_event_us(&motor);

				now_us = strides_us[index] == 0u ? event_us : now_us + strides_us[index];
				now_us = now_us > start_us + 59999999u ? start_us + 59999999u : now_us;
				thecal_motor_emulated_advance_to(&motor, now_us);
				CHECK(thecal_motor_emulated_next_event_us(&motor) > now_us);
			}
		}
		if (index == 0u) {
			wanted = motor;
			CHECK_EQUAL(motor.core.commanded_steps, 8330);
		} else {
			CHECK(memcmp(&motor, &wanted, sizeof(motor)) == 0);
		}
	}
}

static void a_status_has_every_field(void)
{
	struct thecal_motor_config config = implant;
	struct thecal_motor_emulated motor;
	struct thecal_motor_order running = order_of(1000u, 10000000u, 9u);
	struct thecal_motor_order next = order_of(SECOND_US, 10000000u, 9u);
	struct thecal_rotor_parameters rotor = faultless;
	struct thecal_motor_status status;

	config.steps_per_encoder_pulse = 4u;
	rotor.steps_per_encoder_pulse = 4u;
	motor = motor_of(&config, &rotor);
	status = status_of(&motor, 5u);
	CHECK_EQUAL(status.at_us, 5);
	CHECK_EQUAL(status.commanded_steps, 0);
	CHECK_EQUAL(status.counted_pulses, 0);
	CHECK_EQUAL(status.orders_ended, 0);
	CHECK_EQUAL(status.running_order, 0);
	CHECK_EQUAL(status.steps_left, 0);
	CHECK_EQUAL(status.last_order, 0);
	CHECK_EQUAL(status.last_order_steps, 0);
	CHECK_EQUAL(status.steps_per_encoder_pulse, 4);
	CHECK_EQUAL(status.orders_held, 0);
	CHECK_EQUAL(status.interlock, THECAL_INTERLOCK_OPEN);
	CHECK_EQUAL(status.faults, 0);
	CHECK_EQUAL(status.armed, 1);

	running.id = 3u;
	next.id = 0u;
	CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 5u, &running), 0);
	CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 5u, &next), 0);
	status = status_of(&motor, 41000u + PHASE_US);
	CHECK_EQUAL(status.commanded_steps, 5);
	CHECK_EQUAL(status.counted_pulses, 1);
	CHECK_EQUAL(status.running_order, 3);
	CHECK_EQUAL(status.steps_left, 4);
	CHECK_EQUAL(status.orders_held, 2);
	status = status_of(&motor, SECOND_US);
	CHECK_EQUAL(status.commanded_steps, 10);
	CHECK_EQUAL(status.counted_pulses, 2);
	CHECK_EQUAL(status.running_order, 0);
	CHECK_EQUAL(status.steps_left, 8);
	CHECK_EQUAL(status.last_order, 3);
	CHECK_EQUAL(status.last_order_steps, 9);
	CHECK_EQUAL(status.orders_ended, 1);
	CHECK_EQUAL(status.orders_held, 1);
}

static void it_runs_away_while_stopped_and_the_encoder_sees_it(void)
{
	struct thecal_rotor_parameters rotor = faultless;
	struct thecal_motor_emulated motor;
	struct thecal_motor_status status;

	rotor.runaway_period_us = SECOND_US;
	motor = motor_of(&implant, &rotor);
	status = status_of(&motor, 100u * SECOND_US);
	CHECK_EQUAL(status.commanded_steps, 0);
	CHECK_EQUAL(status.counted_pulses, 200);
	thecal_motor_emulated_off(&motor, 100u * SECOND_US);
	CHECK_EQUAL(status_of(&motor, 200u * SECOND_US).counted_pulses, 400);
	thecal_motor_emulated_change_rotor(&motor, 250u * SECOND_US, &faultless);
	CHECK_EQUAL(status_of(&motor, 300u * SECOND_US).counted_pulses, 500);
}

static void off_cuts_the_current_of_the_rotor_too(void)
{
	for (uint64_t at_us = 0u; at_us <= 6000u; at_us += 100u) {
		struct thecal_motor_emulated motor = motor_of(&implant, &faultless);
		const struct thecal_motor_order order = order_of(1000u, 10000000u, 3u);

		CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &order), 0);
		thecal_motor_emulated_off(&motor, at_us);
		CHECK_EQUAL(motor.rotor.phases, 0);
		/* 2 ms of current have turned it. */
		CHECK_EQUAL(thecal_motor_emulated_position(&motor), at_us >= 3000u ? 1 : 0);
		CHECK_EQUAL(status_of(&motor, SECOND_US).commanded_steps, at_us >= 1000u ? 1 : 0);
		CHECK_EQUAL(thecal_motor_emulated_position(&motor), at_us >= 3000u ? 1 : 0);
		CHECK_EQUAL(thecal_motor_emulated_next_event_us(&motor), THECAL_MOTOR_NEVER_US);
	}
}

static void a_reboot_keeps_the_angle_alone(void)
{
	for (uint32_t steps = 1u; steps <= 8u; steps++) {
		struct thecal_motor_emulated motor = motor_of(&implant, &faultless);
		const struct thecal_motor_order before = order_of(1000u, 10000000u, steps);
		const struct thecal_motor_order after = order_of(7u, 10000000u, 10u);
		struct thecal_motor_status status;

		CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &before), 0);
		thecal_motor_emulated_advance_to(&motor, SECOND_US);
		CHECK_EQUAL(thecal_motor_emulated_reboot(&motor, 0u), 0);
		CHECK_EQUAL(status_of(&motor, 0u).armed, 0);
		CHECK_EQUAL(thecal_motor_emulated_arm(&motor, 0u, UINT32_MAX, UINT32_MAX), 0);
		CHECK_EQUAL(thecal_motor_emulated_position(&motor), steps);
		status = status_of(&motor, 0u);
		CHECK_EQUAL(status.commanded_steps, 0);
		CHECK_EQUAL(status.counted_pulses, 0);
		CHECK_EQUAL(status.orders_ended, 0);
		CHECK_EQUAL(status.interlock, THECAL_INTERLOCK_OPEN);
		CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &after), 0);
		status = status_of(&motor, SECOND_US);
		/* Phase A first: the rotor is there already after an odd number of steps. */
		CHECK_EQUAL(status.commanded_steps, 10);
		CHECK_EQUAL(status.counted_pulses, steps % 2u == 0u ? 10 : 9);
		CHECK_EQUAL(status.faults, 0);
	}
	/* In the middle of a pulse: current ends with the reset. */
	struct thecal_motor_emulated motor = motor_of(&implant, &faultless);
	const struct thecal_motor_order order = order_of(1000u, 10000000u, 5u);

	CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &order), 0);
	thecal_motor_emulated_advance_to(&motor, 3500u);
	CHECK_EQUAL(thecal_motor_emulated_reboot(&motor, 50u), 0);
	CHECK_EQUAL(thecal_motor_emulated_position(&motor), 1);
	CHECK_EQUAL(motor.rotor.phases, 0);
	CHECK_EQUAL(status_of(&motor, 50u).at_us, 50);
}

/* Nobody can make more steps than the ceiling through the front door, whatever they order and cancel. */
static void no_caller_gets_past_the_ceiling(void)
{
	enum { ROUNDS = 20000 };
	static uint64_t commanded[ROUNDS];
	static uint64_t times_us[ROUNDS];
	struct thecal_motor_config config = implant;
	struct thecal_motor_emulated motor;
	uint64_t chance = 11u;
	uint64_t now_us = 0u;
	size_t behind = 0u;
	unsigned refused = 0u;
	unsigned accepted = 0u;

	config.ceiling_steps = 700u;
	config.ceiling_window_ms = 20000u;
	motor = motor_of(&config, &faultless);
	for (size_t round = 0u; round < ROUNDS; round++) {
		/* In statements of their own: in which order arguments are drawn is the compiler's choice. */
		const uint64_t first_us = now_us + test_random(&chance) % 100000u;
		const uint64_t period_ns = 5000000u + test_random(&chance) % 40000000u;
		const uint32_t steps = (uint32_t)(1u + test_random(&chance) % 500u);
		const struct thecal_motor_order order = order_of(first_us, period_ns, steps);
		int32_t answer = -EBUSY;

		if (test_random(&chance) % 20u == 0u) {
			(void)thecal_motor_emulated_cancel(&motor, now_us);
		} else {
			answer = thecal_motor_emulated_submit(&motor, now_us, &order);
		}
		refused += answer == -EPERM ? 1u : 0u;
		accepted += answer == 0 ? 1u : 0u;
		now_us += test_random(&chance) % 400000u;
		commanded[round] = status_of(&motor, now_us).commanded_steps;
		times_us[round] = now_us;
		while (times_us[behind] + 20000000u <= now_us) {
			behind++;
		}
		/* Steps after the look that lies within the window: all of them are in it. */
		CHECK(commanded[round] - commanded[behind] <= 700u);
		/* An accepted order never runs into the gate. */
		CHECK_EQUAL(motor.core.faults, 0);
	}
	CHECK(refused > 100u && accepted > 100u);
}

static void bounds_that_contradict_each_other_are_refused(void)
{
	struct thecal_motor_config config = implant;
	struct thecal_motor_emulated motor;
	const struct thecal_motor_order order = order_of(0u, 10000000u, 1u);

	config.phase_time_us = 5000u;
	CHECK_EQUAL(thecal_motor_emulated_init(&motor, &config, &faultless, 0u), -EINVAL);
	CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &order), -EINVAL);
	CHECK_EQUAL(status_of(&motor, 0u).interlock, THECAL_INTERLOCK_CLOSED);
	CHECK_EQUAL(thecal_motor_emulated_reboot(&motor, 0u), -EINVAL);
}

/* With power all the time the interlock goes on with its account; without, it begins empty and not armed. */
static void a_restart_keeps_the_account_of_steps(void)
{
	const struct thecal_motor_order ten = order_of(0u, 5000000u, 10u);
	const struct thecal_motor_order one = order_of(0u, 5000000u, 1u);
	struct thecal_motor_emulated motor;

	CHECK_EQUAL(thecal_motor_emulated_init(&motor, &implant, &faultless, 0u), 0);
	/* Never armed: nothing to go on with. */
	CHECK_EQUAL(thecal_motor_emulated_restart(&motor, 0u), 0);
	CHECK_EQUAL(status_of(&motor, 0u).armed, 0);
	CHECK_EQUAL(thecal_motor_emulated_arm(&motor, 0u, 10u, 10u), 0);
	CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &ten), 0);
	thecal_motor_emulated_advance_to(&motor, SECOND_US);
	for (unsigned boot = 0u; boot < 3u; boot++) {
		thecal_motor_emulated_off(&motor, SECOND_US);
		CHECK_EQUAL(thecal_motor_emulated_restart(&motor, 0u), 0);
		CHECK_EQUAL(status_of(&motor, 0u).armed, 1);
		CHECK_EQUAL(status_of(&motor, 0u).commanded_steps, 0);
		CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &one), THECAL_MOTOR_ALLOWANCE);
	}
	CHECK_EQUAL(thecal_motor_emulated_grant(&motor, 0u, 1u, 1u), 0);
	CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &one), 0);
	/* An order on its way may have been made. */
	CHECK_EQUAL(thecal_motor_emulated_restart(&motor, 0u), 0);
	CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &one), THECAL_MOTOR_ALLOWANCE);
	/* Damage is not gone on with. */
	motor.core.interlock.allowances.steps[0] ^= 1u;
	CHECK_EQUAL(thecal_motor_emulated_restart(&motor, 0u), 0);
	CHECK_EQUAL(status_of(&motor, 0u).armed, 0);
	CHECK_EQUAL(thecal_motor_emulated_arm(&motor, 0u, 10u, 10u), 0);
	CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &ten), 0);
	CHECK_EQUAL(thecal_motor_emulated_reboot(&motor, 0u), 0);
	CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &one), THECAL_MOTOR_NOT_ARMED);
}

/* A pulse too short for the jam turns nothing; the same pulse a level higher does. */
static void a_jam_gives_way_to_a_longer_pulse(void)
{
	for (uint8_t level = 1u; level <= 3u; level++) {
		struct thecal_rotor_parameters jammed = faultless;
		struct thecal_motor_order order = order_of(0u, 10000000u, 10u);

		for (uint8_t jam = 1u; jam <= 3u; jam++) {
			const uint32_t needed_us = thecal_motor_core_pulse_us(&implant, jam);
			struct thecal_motor_emulated motor;

			jammed.minimum_pulse_us = needed_us;
			motor = motor_of(&implant, &jammed);
			order.level = level;
			CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &order), 0);
			CHECK_EQUAL(status_of(&motor, SECOND_US).commanded_steps, 10);
			CHECK_EQUAL(status_of(&motor, SECOND_US).counted_pulses, level >= jam ? 10 : 0);
		}
	}
}

static void a_double_pulse_is_counted_and_turns_nothing(void)
{
	struct thecal_rotor_parameters stuttering = faultless;
	const struct thecal_motor_order order = order_of(0u, 5000000u, 10u);

	stuttering.double_pulse_one_in = 1u;
	for (uint8_t reversed = 0u; reversed < 2u; reversed++) {
		const int64_t sign = reversed != 0u ? -1 : 1;
		struct thecal_motor_emulated motor;

		stuttering.reversed = reversed;
		motor = motor_of(&implant, &stuttering);
		CHECK_EQUAL(thecal_motor_emulated_submit(&motor, 0u, &order), 0);
		CHECK_EQUAL(status_of(&motor, SECOND_US).counted_pulses, sign * 20);
		CHECK_EQUAL(thecal_motor_emulated_position(&motor), sign * 10);
		CHECK_EQUAL(status_of(&motor, SECOND_US).faults, 0);
	}
}

int main(void)
{
	RUN(a_status_has_every_field);
	RUN(how_time_moves_makes_no_difference);
	RUN(it_runs_away_while_stopped_and_the_encoder_sees_it);
	RUN(off_cuts_the_current_of_the_rotor_too);
	RUN(a_reboot_keeps_the_angle_alone);
	RUN(no_caller_gets_past_the_ceiling);
	RUN(bounds_that_contradict_each_other_are_refused);
	RUN(ten_days_at_the_lowest_therapeutic_rate);
	RUN(ten_days_at_a_usual_rate);
	RUN(ten_days_at_awkward_rates);
	RUN(ten_days_at_the_highest_rate);
	RUN(a_restart_keeps_the_account_of_steps);
	RUN(a_jam_gives_way_to_a_longer_pulse);
	RUN(a_double_pulse_is_counted_and_turns_nothing);
	return checked("motor_emulated");
}
