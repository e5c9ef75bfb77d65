/*
 * The motor core: what is accepted, when steps come, which phase, what is accounted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "thecal/motor_core.h"

#define HORIZON_US  60000000u
#define SHORTEST_US 5000u
#define SHORTEST_NS 5000000u
#define PHASE_US    3000u

static const struct thecal_motor_config implant = {
	.phase_time_us = PHASE_US,
	.maximum_step_rate = 200u,
	.ceiling_steps = 440000u,
	.ceiling_window_ms = 3600000u,
	.steps_per_encoder_pulse = 1u,
};

static struct thecal_motor_core open_core(const struct thecal_motor_config *config)
{
	struct thecal_motor_core core;

	CHECK_EQUAL(thecal_motor_core_init(&core, config), 0);
	CHECK_EQUAL(thecal_motor_core_open(&core), 0);
	CHECK_EQUAL(thecal_motor_core_arm(&core, 0u, UINT32_MAX, UINT32_MAX), 0);
	return core;
}

static struct thecal_motor_order order_of(uint64_t first_at_us, uint64_t period_ns, uint32_t steps)
{
	return (struct thecal_motor_order){
		.first_at_us = first_at_us, .period_ns = period_ns, .id = 77u, .steps = steps, .level = 1u};
}

static struct thecal_motor_status status_of(struct thecal_motor_core *core, uint64_t now_us)
{
	struct thecal_motor_status status;

	memset(&status, 0, sizeof(status));
	thecal_motor_core_status(core, now_us, &status);
	return status;
}

/* Runs the core on time for one order and gives back the times its pulses began. */
static size_t run_on_time(struct thecal_motor_core *core, uint64_t until_us, uint64_t *begun_us, size_t room)
{
	uint32_t before = core->phases;
	size_t count = 0u;

	for (;;) {
		const uint64_t at_us = thecal_motor_core_next_event_us(core);
		uint32_t phases;

		if (at_us > until_us || at_us == THECAL_MOTOR_NEVER_US) {
			return count;
		}
		phases = thecal_motor_core_advance(core, at_us);
		if (phases != 0u && before == 0u && count < room) {
			begun_us[count++] = at_us;
		}
		CHECK(phases == 0u || before == 0u);
		before = phases;
	}
}

static void bounds_that_contradict_each_other_are_refused(void)
{
	for (unsigned field = 0u; field < 5u; field++) {
		struct thecal_motor_config config = implant;
		struct thecal_motor_core core;
		const struct thecal_motor_order order = order_of(0u, 1000000000u, 1u);
		uint32_t *fields[] = {&config.phase_time_us, &config.maximum_step_rate, &config.ceiling_steps,
				      &config.ceiling_window_ms, &config.steps_per_encoder_pulse};

		*fields[field] = 0u;
		CHECK_EQUAL(thecal_motor_core_init(&core, &config), -EINVAL);
		(void)thecal_motor_core_open(&core);
		CHECK(thecal_motor_core_submit(&core, 0u, &order) < 0);
		CHECK_EQUAL(thecal_motor_core_next_event_us(&core), THECAL_MOTOR_NEVER_US);
	}
	for (uint32_t rate = 1u; rate < 1000u; rate += 7u) {
		const uint32_t interval_us = 1000000u / rate;

		for (uint32_t phase_us = interval_us - 2u; phase_us <= interval_us + 2u; phase_us++) {
			struct thecal_motor_config config = implant;
			struct thecal_motor_core core;

			config.maximum_step_rate = rate;
			config.phase_time_us = phase_us;
			CHECK_EQUAL(thecal_motor_core_init(&core, &config), phase_us < interval_us ? 0 : -EINVAL);
		}
	}
}

/* The rules of motor.h once more, in arithmetic that cannot overflow. */
static int32_t answer_by_the_rules(const struct thecal_motor_order *order, uint64_t now_us, uint16_t interlock)
{
	const __int128 first = order->first_at_us;
	const __int128 last = first + (__int128)(order->steps - 1u) * order->period_ns / 1000;

	if (order->steps < 1u || order->steps > 500u) {
		return -EINVAL;
	}
	if (order->steps > 1u && order->period_ns < SHORTEST_NS) {
		return -EINVAL;
	}
	if (order->steps > 1u && (__int128)(order->steps - 1u) * order->period_ns > (__int128)HORIZON_US * 1000) {
		return -EINVAL;
	}
	if (first < (__int128)now_us - 1000000) {
		return -EINVAL;
	}
	if ((order->steps == 1u ? first : last) > (__int128)now_us + HORIZON_US) {
		return -EINVAL;
	}
	if ((order->steps == 1u ? first : last) > (__int128)UINT64_MAX) {
		return -EINVAL;
	}
	return interlock == THECAL_INTERLOCK_OPEN ? 0 : -EACCES;
}

static void what_is_accepted_is_what_the_header_says(void)
{
	static const uint32_t steps[] = {0u, 1u, 2u, 3u, 499u, 500u, 501u, UINT32_MAX - 1u, UINT32_MAX};
	static const uint64_t periods_ns[] = {0u,
					      1u,
					      SHORTEST_NS - 1u,
					      SHORTEST_NS,
					      SHORTEST_NS + 1u,
					      864000000u,
					      120240480u, /* 60 s / 499, rounded down */
					      120240481u,
					      30000000000u,
					      59999999999u,
					      60000000000u,
					      60000000001u,
					      UINT64_MAX - 1u,
					      UINT64_MAX};
	static const uint64_t nows_us[] = {0u,
					   1u,
					   999999u,
					   1000000u,
					   1000001u,
					   60000000u,
					   1ull << 40,
					   UINT64_MAX - HORIZON_US - 1u,
					   UINT64_MAX - HORIZON_US,
					   UINT64_MAX - HORIZON_US + 1u,
					   UINT64_MAX - 1u,
					   UINT64_MAX};
	static const int64_t offsets_us[] = {-1000002, -1000001, -1000000, -999999, -1,       0,
					     1,        29999999, 30000000, 30000001, 59999999, 60000000,
					     60000001, 60000002};
	unsigned accepted = 0u;
	unsigned tried = 0u;

	for (uint16_t interlock = 0u; interlock < 4u; interlock++) {
		struct thecal_motor_core fresh;

		CHECK_EQUAL(thecal_motor_core_init(&fresh, &implant), 0);
		if (interlock != THECAL_INTERLOCK_CLOSED) {
			CHECK_EQUAL(thecal_motor_core_open(&fresh), 0);
			CHECK_EQUAL(thecal_motor_core_arm(&fresh, 0u, UINT32_MAX, UINT32_MAX), 0);
		}
		if (interlock == THECAL_INTERLOCK_TRIPPED) {
			fresh.interlock.windows[0].newest.value ^= 4u;
		}
		if (interlock == THECAL_INTERLOCK_OFF) {
			thecal_motor_core_off(&fresh, 0u);
		}
		for (size_t s = 0u; s < COUNT_OF(steps); s++) {
			for (size_t p = 0u; p < COUNT_OF(periods_ns); p++) {
				for (size_t n = 0u; n < COUNT_OF(nows_us); n++) {
					for (size_t o = 0u; o < COUNT_OF(offsets_us); o++) {
						struct thecal_motor_core core = fresh;
						const struct thecal_motor_order order =
							order_of(nows_us[n] + (uint64_t)offsets_us[o], periods_ns[p],
								 steps[s]);
						const int32_t wanted =
							answer_by_the_rules(&order, nows_us[n], interlock);

						CHECK_EQUAL(thecal_motor_core_submit(&core, nows_us[n], &order),
							    wanted);
						CHECK_EQUAL(core.orders_held, wanted == 0 ? 1 : 0);
						CHECK_EQUAL(thecal_motor_core_next_event_us(&core) ==
								    THECAL_MOTOR_NEVER_US,
							    wanted != 0 || order.first_at_us == UINT64_MAX ||
								    nows_us[n] == UINT64_MAX);
						CHECK_EQUAL(core.commanded_steps, 0);
						accepted += wanted == 0 ? 1u : 0u;
						tried++;
					}
				}
			}
		}
	}
	CHECK(accepted > 500u && accepted < tried);
}

static void steps_come_at_their_exact_times(void)
{
	static const uint64_t periods_ns[] = {SHORTEST_NS, 5000001u,  5000999u,   9000000u, 9009009u,
					      33333333u,   60000001u, 119999999u, 120240000u};
	static const uint64_t starts_us[] = {0u, 1u, 1ull << 52};
	static uint64_t begun_us[500];

	for (size_t p = 0u; p < COUNT_OF(periods_ns); p++) {
		for (size_t s = 0u; s < COUNT_OF(starts_us); s++) {
			struct thecal_motor_core core = open_core(&implant);
			const uint64_t first_us = starts_us[s] + 100u;
			const struct thecal_motor_order order = order_of(first_us, periods_ns[p], 500u);

			CHECK_EQUAL(thecal_motor_core_submit(&core, starts_us[s], &order), 0);
			CHECK_EQUAL(thecal_motor_core_order_end_us(&core),
				    first_us + 499u * periods_ns[p] / 1000u + PHASE_US);
			CHECK_EQUAL(run_on_time(&core, UINT64_MAX, begun_us, COUNT_OF(begun_us)), 500);
			for (uint64_t k = 0u; k < 500u; k++) {
				CHECK_EQUAL(begun_us[k], first_us + k * periods_ns[p] / 1000u);
			}
			CHECK_EQUAL(core.now_us, first_us + 499u * periods_ns[p] / 1000u + PHASE_US);
			CHECK_EQUAL(core.orders_held, 0);
			CHECK_EQUAL(core.faults, 0);
			/* It stopped by itself. */
			CHECK_EQUAL(thecal_motor_core_next_event_us(&core), THECAL_MOTOR_NEVER_US);
			CHECK_EQUAL(thecal_motor_core_advance(&core, core.now_us + HORIZON_US), 0);
			CHECK_EQUAL(core.commanded_steps, 500);
		}
	}
}

static void phases_take_turns_for_ever(void)
{
	struct thecal_motor_core core = open_core(&implant);
	uint32_t wanted = THECAL_MOTOR_PHASE_A;
	uint64_t now_us = 0u;

	/* Odd and even orders, a cancel in between, refusals in between: the turns go on. */
	for (uint32_t steps = 1u; steps <= 7u; steps++) {
		const struct thecal_motor_order order = order_of(now_us, SHORTEST_NS, steps);
		const struct thecal_motor_order wrong = order_of(now_us, 0u, 2u);

		CHECK_EQUAL(thecal_motor_core_submit(&core, now_us, &order), 0);
		CHECK_EQUAL(thecal_motor_core_submit(&core, now_us, &wrong), -EINVAL);
		for (uint32_t k = 0u; k < steps; k++) {
			now_us = thecal_motor_core_next_event_us(&core);
			CHECK_EQUAL(thecal_motor_core_advance(&core, now_us), wanted);
			/* Held for the whole pulse, whenever one looks. */
			CHECK_EQUAL(thecal_motor_core_advance(&core, now_us), wanted);
			CHECK_EQUAL(thecal_motor_core_advance(&core, now_us + 1u), wanted);
			CHECK_EQUAL(thecal_motor_core_advance(&core, now_us + PHASE_US - 1u), wanted);
			CHECK_EQUAL(thecal_motor_core_next_event_us(&core), now_us + PHASE_US);
			now_us += PHASE_US;
			CHECK_EQUAL(thecal_motor_core_advance(&core, now_us), 0);
			wanted ^= THECAL_MOTOR_PHASE_A | THECAL_MOTOR_PHASE_B;
			if (steps == 5u && k == 2u) {
				CHECK_EQUAL(thecal_motor_core_cancel(&core, now_us), 3);
				break;
			}
		}
		now_us += SHORTEST_US;
	}
}

/* The processor was away: what happens when it comes back. */
static void overdue_steps_never_come_faster_than_the_motor_may_turn(void)
{
	static const uint64_t halts_us[] = {0u,    1u,    2999u, 3000u,  3001u,  4999u,  5000u,   5001u,
					    9999u, 10000u, 10001u, 15000u, 85000u, 100000u, 1000000u, 70000000u};
	static const uint64_t periods_ns[] = {SHORTEST_NS, 5333333u, 9000000u, 100000000u};

	for (size_t p = 0u; p < COUNT_OF(periods_ns); p++) {
		for (size_t h = 0u; h < COUNT_OF(halts_us); h++) {
			for (uint64_t halt_at_us = 0u; halt_at_us < 40000u; halt_at_us += 499u) {
				struct thecal_motor_core core = open_core(&implant);
				const struct thecal_motor_order order = order_of(1000u, periods_ns[p], 60u);
				uint64_t last_begun_us = 0u;
				uint64_t last_ended_us = 0u;
				uint64_t now_us = 0u;
				uint32_t before = 0u;
				uint32_t begun = 0u;
				bool halted = false;

				CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), 0);
				while (thecal_motor_core_next_event_us(&core) != THECAL_MOTOR_NEVER_US) {
					const uint64_t due_us = thecal_motor_core_next_event_us(&core);
					uint32_t phases;

					CHECK(due_us >= now_us);
					now_us = due_us;
					if (!halted && now_us >= halt_at_us) {
						now_us += halts_us[h];
						halted = true;
					}
					phases = thecal_motor_core_advance(&core, now_us);
					CHECK(phases == 0u || before == 0u);
					if (phases != 0u) {
						CHECK(begun == 0u || now_us - last_begun_us >= SHORTEST_US);
						CHECK(begun == 0u ||
						      now_us - last_ended_us >= SHORTEST_US - PHASE_US);
						CHECK(now_us >= 1000u + begun * periods_ns[p] / 1000u);
						last_begun_us = now_us;
						begun++;
					} else {
						CHECK(before == 0u || now_us - last_begun_us >= PHASE_US);
						last_ended_us = now_us;
					}
					before = phases;
				}
				CHECK_EQUAL(begun, 60);
				CHECK_EQUAL(core.commanded_steps, 60);
				CHECK_EQUAL(core.orders_ended, 1);
				if (halts_us[h] <= THECAL_MOTOR_LATE_US) {
					CHECK_EQUAL(core.faults, 0);
				}
			}
		}
	}
}

static void a_late_step_is_reported_from_five_milliseconds_on(void)
{
	for (uint64_t late_us = 4998u; late_us <= 5003u; late_us++) {
		struct thecal_motor_core core = open_core(&implant);
		const struct thecal_motor_order order = order_of(1000u, 100000000u, 3u);

		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), 0);
		CHECK_EQUAL(thecal_motor_core_advance(&core, 1000u + late_us), THECAL_MOTOR_PHASE_A);
		CHECK_EQUAL(status_of(&core, 0u).faults, late_us > 5000u ? THECAL_MOTOR_FAULT_LATE : 0u);
	}
	/* An order that was late when it came is no fault of the motor's. */
	for (uint64_t late_us = 0u; late_us <= 1000000u; late_us += 100000u) {
		struct thecal_motor_core core = open_core(&implant);
		const struct thecal_motor_order order = order_of(5000000u - late_us, SHORTEST_NS, 300u);
		static uint64_t begun_us[300];

		CHECK_EQUAL(thecal_motor_core_submit(&core, 5000000u, &order), 0);
		CHECK_EQUAL(run_on_time(&core, UINT64_MAX, begun_us, 300u), 300);
		CHECK_EQUAL(begun_us[0], 5000000);
		CHECK_EQUAL(begun_us[299], 5000000u + 299u * SHORTEST_US);
		CHECK_EQUAL(core.faults, 0);
	}
}

static void the_announced_end_is_the_end(void)
{
	static const uint64_t periods_ns[] = {SHORTEST_NS, 7000000u, 9000000u, 100000000u};

	for (size_t p = 0u; p < COUNT_OF(periods_ns); p++) {
		for (uint64_t late_us = 0u; late_us <= 1000000u; late_us += 12500u) {
			struct thecal_motor_core core = open_core(&implant);
			const struct thecal_motor_order order = order_of(5000000u - late_us, periods_ns[p], 40u);
			uint64_t end_us;

			CHECK_EQUAL(thecal_motor_core_submit(&core, 5000000u, &order), 0);
			end_us = thecal_motor_core_order_end_us(&core);
			while (core.orders_held != 0u) {
				CHECK_EQUAL(thecal_motor_core_order_end_us(&core), end_us);
				CHECK(end_us >= thecal_motor_core_next_event_us(&core));
				(void)thecal_motor_core_advance(&core, thecal_motor_core_next_event_us(&core));
			}
			CHECK_EQUAL(core.now_us, end_us);
			CHECK_EQUAL(thecal_motor_core_order_end_us(&core), THECAL_MOTOR_NEVER_US);
		}
	}
}

static void orders_follow_each_other_without_a_seam(void)
{
	/* The next one's first step, from before the running one's last step to well after. */
	for (uint64_t gap_us = 0u; gap_us <= 2u * SHORTEST_US; gap_us += 250u) {
		for (int64_t fine = -1; fine <= 1; fine++) {
			struct thecal_motor_core core = open_core(&implant);
			struct thecal_motor_order running = order_of(10000u, 10000000u, 5u);
			struct thecal_motor_order next = order_of(50000u + gap_us + (uint64_t)fine, 10000000u, 5u);
			const bool overlaps = (int64_t)gap_us + fine < SHORTEST_US;
			static uint64_t begun_us[10];

			running.id = 1u;
			next.id = 2u;
			CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &running), 0);
			CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &next), overlaps ? -EBUSY : 0);
			if (overlaps) {
				CHECK_EQUAL(core.orders_held, 1);
				continue;
			}
			CHECK_EQUAL(run_on_time(&core, UINT64_MAX, begun_us, 10u), 10);
			CHECK_EQUAL(begun_us[4], 50000);
			CHECK_EQUAL(begun_us[5], next.first_at_us);
			CHECK_EQUAL(begun_us[9], next.first_at_us + 40000u);
			CHECK_EQUAL(core.last_order, 2);
			CHECK_EQUAL(core.orders_ended, 2);
			CHECK_EQUAL(core.faults, 0);
		}
	}
	/* Before the running one altogether. */
	struct thecal_motor_core core = open_core(&implant);
	const struct thecal_motor_order running = order_of(500000u, 10000000u, 5u);
	const struct thecal_motor_order before = order_of(100000u, 10000000u, 5u);

	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &running), 0);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &before), -EBUSY);
}

static void two_orders_are_held_and_no_more(void)
{
	struct thecal_motor_core core = open_core(&implant);
	const struct thecal_motor_order orders[] = {order_of(1000u, SHORTEST_NS, 2u), order_of(11000u, SHORTEST_NS, 2u),
						    order_of(21000u, SHORTEST_NS, 2u)};

	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &orders[0]), 0);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &orders[1]), 0);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &orders[2]), -EBUSY);
	(void)thecal_motor_core_advance(&core, 1000u);
	(void)thecal_motor_core_advance(&core, 4000u);
	(void)thecal_motor_core_advance(&core, 6000u);
	/* The last pulse has begun: the order is not over before it ends. */
	CHECK_EQUAL(thecal_motor_core_submit(&core, 8999u, &orders[2]), -EBUSY);
	CHECK_EQUAL(status_of(&core, 8999u).orders_held, 2);
	CHECK_EQUAL(status_of(&core, 8999u).steps_left, 0);
	(void)thecal_motor_core_advance(&core, 9000u);
	CHECK_EQUAL(status_of(&core, 9000u).orders_held, 1);
	CHECK_EQUAL(status_of(&core, 9000u).steps_left, 2);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 9000u, &orders[2]), 0);
}

static void cancel_finishes_the_pulse_and_tells_what_was_made(void)
{
	/* Every 100 us of an order of three steps and the next one behind it. */
	for (uint64_t at_us = 0u; at_us <= 40000u; at_us += 100u) {
		struct thecal_motor_core core = open_core(&implant);
		struct thecal_motor_order running = order_of(1000u, 10000000u, 3u);
		struct thecal_motor_order next = order_of(31000u, 10000000u, 3u);
		const struct thecal_motor_order after = order_of(at_us, 10000000u, 1u);
		static uint64_t begun_us[10];
		/* Steps at 1, 11, 21 ms; the order is over when the pulse ends at 24 ms; then 31, ... ms. */
		const uint32_t begun = at_us < 1000u    ? 0u
				       : at_us < 11000u ? 1u
				       : at_us < 21000u ? 2u
				       : at_us < 24000u ? 3u
				       : at_us < 31000u ? 0u
							: 1u;
		const uint64_t commanded = at_us < 24000u ? begun : 3u + begun;
		bool in_pulse;
		uint64_t ends_us;
		uint64_t next_us;

		running.id = 1u;
		next.id = 2u;
		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &running), 0);
		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &next), 0);
		(void)run_on_time(&core, at_us, begun_us, 10u);
		in_pulse = core.phases != 0u;
		ends_us = core.pulse_ends_us;
		CHECK_EQUAL(thecal_motor_core_cancel(&core, at_us), begun);
		CHECK_EQUAL(core.commanded_steps, commanded);
		CHECK_EQUAL(core.orders_ended, 2);
		CHECK_EQUAL(core.last_order, at_us < 24000u ? 1u : 2u);
		CHECK_EQUAL(core.last_order_steps, begun);
		CHECK_EQUAL(thecal_motor_core_cancel(&core, at_us), 0);
		/* Only the end of the pulse is still to come. */
		next_us = thecal_motor_core_next_event_us(&core);
		CHECK_EQUAL(next_us, in_pulse ? ends_us : THECAL_MOTOR_NEVER_US);

		/* A new order at once: not into the pulse, and not into its rest. */
		CHECK_EQUAL(thecal_motor_core_submit(&core, at_us, &after), 0);
		CHECK_EQUAL(run_on_time(&core, UINT64_MAX, begun_us, 10u), 1);
		if (in_pulse) {
			CHECK_EQUAL(begun_us[0], ends_us + SHORTEST_US - PHASE_US);
		} else {
			CHECK(begun_us[0] >= at_us && begun_us[0] <= at_us + SHORTEST_US - PHASE_US);
		}
		CHECK_EQUAL(core.commanded_steps, commanded + 1u);
	}
}

static void off_cuts_the_pulse_and_is_for_good(void)
{
	for (uint64_t at_us = 0u; at_us <= 30000u; at_us += 500u) {
		struct thecal_motor_core core = open_core(&implant);
		const struct thecal_motor_order order = order_of(1000u, 10000000u, 3u);
		const struct thecal_motor_order after = order_of(at_us, 10000000u, 1u);
		static uint64_t begun_us[10];
		uint64_t commanded;

		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), 0);
		(void)run_on_time(&core, at_us, begun_us, 10u);
		commanded = core.commanded_steps;
		thecal_motor_core_off(&core, at_us);
		thecal_motor_core_off(&core, at_us);
		CHECK_EQUAL(core.phases, 0);
		CHECK_EQUAL(thecal_motor_core_advance(&core, at_us), 0);
		CHECK_EQUAL(thecal_motor_core_next_event_us(&core), THECAL_MOTOR_NEVER_US);
		CHECK_EQUAL(thecal_motor_core_submit(&core, at_us, &after), -EACCES);
		CHECK_EQUAL(thecal_motor_core_open(&core), -EACCES);
		CHECK_EQUAL(thecal_motor_core_advance(&core, at_us + HORIZON_US), 0);
		CHECK_EQUAL(core.commanded_steps, commanded);
		CHECK_EQUAL(status_of(&core, at_us).interlock, THECAL_INTERLOCK_OFF);
		CHECK_EQUAL(status_of(&core, at_us).faults, 0);
	}
}

static void the_ceiling_holds_for_what_is_queued_as_well(void)
{
	for (uint32_t second = 1u; second <= 60u; second++) {
		struct thecal_motor_config config = implant;
		struct thecal_motor_core core;
		const struct thecal_motor_order first = order_of(1000u, SHORTEST_NS, 50u);
		const struct thecal_motor_order then = order_of(1000000u, SHORTEST_NS, second);
		static uint64_t begun_us[100];

		config.ceiling_steps = 100u;
		core = open_core(&config);
		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &first), 0);
		if (second % 2u == 0u) {
			/* Part of the first is made when the second comes. */
			(void)run_on_time(&core, 100000u, begun_us, 100u);
		}
		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &then), second <= 50u ? 0 : -EPERM);
		(void)run_on_time(&core, UINT64_MAX, begun_us, 100u);
		CHECK_EQUAL(core.commanded_steps, 50u + (second <= 50u ? second : 0u));
		/* What was accepted was made; a refusal is no fault. */
		CHECK_EQUAL(status_of(&core, 0u).faults, 0);
	}
}

static void a_cancelled_order_is_not_held_against_the_ceiling(void)
{
	struct thecal_motor_config config = implant;
	struct thecal_motor_core core;

	config.ceiling_steps = 100u;
	core = open_core(&config);
	for (uint64_t round = 0u; round < 50u; round++) {
		const struct thecal_motor_order order = order_of(round * 1000000u, SHORTEST_NS, 50u);

		CHECK_EQUAL(thecal_motor_core_submit(&core, round * 1000000u, &order), 0);
		(void)thecal_motor_core_advance(&core, round * 1000000u);
		CHECK_EQUAL(thecal_motor_core_cancel(&core, round * 1000000u), 1);
		(void)thecal_motor_core_advance(&core, round * 1000000u + PHASE_US);
	}
	CHECK_EQUAL(core.commanded_steps, 50);
}

static void damage_on_the_way_stops_before_the_next_step(void)
{
	for (size_t byte = 0u; byte < sizeof(struct thecal_interlock); byte++) {
		struct thecal_motor_core core = open_core(&implant);
		/* On both sides of a full hour, so that the second step opens a bucket in every window. */
		const uint64_t first_us = 3599000000u;
		const struct thecal_motor_order order = order_of(first_us, 60000000000u, 2u);

		CHECK_EQUAL(thecal_motor_core_submit(&core, first_us, &order), 0);
		(void)thecal_motor_core_advance(&core, first_us);
		(void)thecal_motor_core_advance(&core, first_us + PHASE_US);
		CHECK_EQUAL(core.commanded_steps, 1);
		((uint8_t *)&core.interlock)[byte] ^= 1u;
		CHECK_EQUAL(thecal_motor_core_advance(&core, first_us + 60000000u), 0);
		CHECK_EQUAL(core.commanded_steps, 1);
		CHECK_EQUAL(core.orders_held, 0);
		CHECK_EQUAL(thecal_motor_core_next_event_us(&core), THECAL_MOTOR_NEVER_US);
		CHECK_EQUAL(status_of(&core, 0u).interlock, THECAL_INTERLOCK_TRIPPED);
		CHECK((status_of(&core, 0u).faults & THECAL_MOTOR_FAULT_INTERLOCK) != 0u);
		CHECK_EQUAL(status_of(&core, 0u).last_order_steps, 1);
	}
}

/* Somebody else's steps filled the ceiling after the order was accepted. */
static void an_accepted_order_that_meets_the_ceiling_is_dropped(void)
{
	struct thecal_motor_config config = implant;
	struct thecal_motor_core core;
	const struct thecal_motor_order order = order_of(1000u, SHORTEST_NS, 50u);

	config.ceiling_steps = 100u;
	core = open_core(&config);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), 0);
	CHECK_EQUAL(thecal_interlock_count(&core.interlock, 0u, 100u), 0);
	CHECK_EQUAL(thecal_motor_core_advance(&core, 1000u), 0);
	CHECK_EQUAL(core.orders_held, 0);
	CHECK_EQUAL(core.commanded_steps, 0);
	CHECK_EQUAL(status_of(&core, 1000u).faults, THECAL_MOTOR_FAULT_CEILING);
	CHECK_EQUAL(status_of(&core, 1000u).interlock, THECAL_INTERLOCK_OPEN);
}

static void the_end_of_time_stops_nothing_but_the_motor(void)
{
	/* Orders right before the clock's last microsecond (584,000 years): no wrap, no step in the wrong place. */
	for (uint64_t before_us = 0u; before_us <= 2000u; before_us += 125u) {
		struct thecal_motor_core core = open_core(&implant);
		const uint64_t now_us = UINT64_MAX - before_us;
		const struct thecal_motor_order fits = order_of(now_us, SHORTEST_NS, 1u);
		const struct thecal_motor_order wraps = order_of(now_us, SHORTEST_NS, 2u);

		CHECK_EQUAL(thecal_motor_core_submit(&core, now_us, &wraps), -EINVAL);
		CHECK_EQUAL(thecal_motor_core_submit(&core, now_us, &fits), 0);
		CHECK_EQUAL(thecal_motor_core_advance(&core, now_us), before_us == 0u ? 0u : THECAL_MOTOR_PHASE_A);
		CHECK(thecal_motor_core_next_event_us(&core) == UINT64_MAX);
		CHECK(thecal_motor_core_order_end_us(&core) == UINT64_MAX);
	}
}

static void time_that_goes_back_is_the_latest_time_seen(void)
{
	struct thecal_motor_core core = open_core(&implant);
	const struct thecal_motor_order order = order_of(1000u, 10000000u, 3u);
	const struct thecal_motor_order old = order_of(0u, 10000000u, 3u);

	CHECK_EQUAL(thecal_motor_core_submit(&core, 1000u, &order), 0);
	CHECK_EQUAL(thecal_motor_core_advance(&core, 1000u), THECAL_MOTOR_PHASE_A);
	CHECK_EQUAL(thecal_motor_core_advance(&core, 4000u), 0);
	CHECK_EQUAL(thecal_motor_core_advance(&core, 0u), 0);
	CHECK_EQUAL(status_of(&core, 0u).at_us, 4000);
	CHECK_EQUAL(thecal_motor_core_cancel(&core, 0u), 1);
	CHECK_EQUAL(thecal_motor_core_advance(&core, 9000000u), 0);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &old), -EINVAL);
}

/* A layer whose hardware makes whole orders. */
static void hardware_steps_are_accounted_to_their_orders(void)
{
	for (uint32_t made = 0u; made <= 12u; made++) {
		struct thecal_motor_core core = open_core(&implant);
		struct thecal_motor_order running = order_of(1000u, SHORTEST_NS, 5u);
		struct thecal_motor_order next = order_of(1000000u, SHORTEST_NS, 4u);
		struct thecal_motor_status status;
		const uint32_t ended = made < 5u ? 0u : made < 9u ? 1u : 2u;

		running.id = 1u;
		next.id = 2u;
		CHECK_EQUAL(thecal_motor_core_begin(&core, 0u), -EINVAL);
		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &running), 0);
		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &next), 0);
		CHECK_EQUAL(thecal_motor_core_begin(&core, 1000u), 0);
		thecal_motor_core_made(&core, 30000u, made);
		status = status_of(&core, 30000u);
		CHECK_EQUAL(status.commanded_steps, made);
		CHECK_EQUAL(status.orders_ended, ended);
		CHECK_EQUAL(status.orders_held, 2u - ended);
		CHECK_EQUAL(status.steps_left, made < 5u ? 5u - made : made < 9u ? 9u - made : 0u);
		CHECK_EQUAL(status.last_order, ended);
		CHECK_EQUAL(status.faults, made <= 9u ? 0u : THECAL_MOTOR_FAULT_HARDWARE);
		CHECK_EQUAL(core.next_phase, made % 2u == 0u ? THECAL_MOTOR_PHASE_A : THECAL_MOTOR_PHASE_B);
		CHECK_EQUAL(core.interlock.windows[0].sum_steps.value, made);
	}
}

static void hardware_is_not_loaded_against_the_interlock(void)
{
	struct thecal_motor_config config = implant;
	struct thecal_motor_core core;
	const struct thecal_motor_order order = order_of(1000u, SHORTEST_NS, 50u);

	config.ceiling_steps = 50u;
	core = open_core(&config);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), 0);
	CHECK_EQUAL(thecal_interlock_count(&core.interlock, 0u, 1u), 0);
	CHECK_EQUAL(thecal_motor_core_begin(&core, 1000u), -EPERM);
	CHECK_EQUAL(core.orders_held, 0);
	CHECK_EQUAL(core.faults, THECAL_MOTOR_FAULT_CEILING);

	core = open_core(&config);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), 0);
	core.interlock.state.complement ^= 1u;
	CHECK_EQUAL(thecal_motor_core_begin(&core, 1000u), -EACCES);
	CHECK_EQUAL(core.orders_held, 0);
	CHECK_EQUAL(core.faults, THECAL_MOTOR_FAULT_INTERLOCK);

	/* Hardware that runs away meets the ceiling too: tripped. */
	core = open_core(&config);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), 0);
	CHECK_EQUAL(thecal_motor_core_begin(&core, 1000u), 0);
	thecal_motor_core_made(&core, 1000u, 51u);
	CHECK_EQUAL(core.commanded_steps, 51);
	CHECK_EQUAL(status_of(&core, 0u).interlock, THECAL_INTERLOCK_TRIPPED);
	CHECK_EQUAL(core.faults, THECAL_MOTOR_FAULT_CEILING | THECAL_MOTOR_FAULT_INTERLOCK |
					 THECAL_MOTOR_FAULT_HARDWARE);
}

/* The last step that the ceiling has room for leaves the window between loading and the first step of the new order. */
static void hardware_is_loaded_ahead_of_time(void)
{
	/* Full at 0; the bucket of then leaves 62.5 minutes later. */
	const uint64_t leaves_us = 25ull * 150000000u;
	struct thecal_motor_config config = implant;

	config.ceiling_steps = 50u;
	for (int64_t offset_us = -20000; offset_us <= 20000; offset_us += 500) {
		struct thecal_motor_core core = open_core(&config);
		const uint64_t first_us = leaves_us + (uint64_t)offset_us;
		const struct thecal_motor_order order = order_of(first_us, SHORTEST_NS, 50u);
		/* Asked for 5 ms before, because hardware may be that early. */
		const bool fits = offset_us >= 5000;

		CHECK_EQUAL(thecal_interlock_count(&core.interlock, 0u, 50u), 0);
		CHECK_EQUAL(thecal_motor_core_submit(&core, first_us - 1000000u, &order), fits ? 0 : -EPERM);
		if (fits) {
			CHECK_EQUAL(thecal_motor_core_begin(&core, first_us - 900000u), 0);
			/* Early by as much as a plan may be, and still no trip. */
			thecal_motor_core_made(&core, first_us - 4900u, 1u);
			CHECK_EQUAL(status_of(&core, 0u).interlock, THECAL_INTERLOCK_OPEN);
			CHECK_EQUAL(status_of(&core, 0u).faults, 0);
		}
	}
}

/* ---- The armed ceiling and the drive levels ---- */

static struct thecal_motor_core armed_core(uint32_t hour_steps, uint32_t day_steps)
{
	struct thecal_motor_core core;

	CHECK_EQUAL(thecal_motor_core_init(&core, &implant), 0);
	CHECK_EQUAL(thecal_motor_core_open(&core), 0);
	CHECK_EQUAL(thecal_motor_core_arm(&core, 0u, hour_steps, day_steps), 0);
	return core;
}

static void an_order_needs_an_allowance(void)
{
	const struct thecal_motor_order order = order_of(0u, SHORTEST_NS, 10u);
	struct thecal_motor_core core;

	CHECK_EQUAL(thecal_motor_core_init(&core, &implant), 0);
	CHECK_EQUAL(thecal_motor_core_open(&core), 0);
	CHECK_EQUAL(status_of(&core, 0u).armed, 0);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), THECAL_MOTOR_NOT_ARMED);
	CHECK_EQUAL(thecal_motor_core_arm(&core, 0u, 9u, 9u), 0);
	CHECK_EQUAL(status_of(&core, 0u).armed, 1);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), THECAL_MOTOR_ALLOWANCE);
	CHECK_EQUAL(core.orders_held, 0);
	CHECK_EQUAL(thecal_motor_core_grant(&core, 0u, 1u, 60u), 0);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), 0);
	CHECK_EQUAL(status_of(&core, 0u).interlock, THECAL_INTERLOCK_OPEN);
	CHECK_EQUAL(status_of(&core, 0u).faults, 0);
}

/* Somebody else's steps filled the allowance after the order was accepted: whoever makes the steps, it trips. */
static void an_accepted_order_that_meets_the_allowance_trips(void)
{
	const struct thecal_motor_order order = order_of(1000u, SHORTEST_NS, 50u);

	for (unsigned by = 0u; by < 3u; by++) {
		struct thecal_motor_core core = armed_core(50u, 50u);

		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), 0);
		switch (by) {
		case 0u:
			CHECK_EQUAL(thecal_interlock_count(&core.interlock, 0u, 50u), 0);
			CHECK_EQUAL(thecal_motor_core_advance(&core, 1000u), 0);
			CHECK_EQUAL(core.commanded_steps, 0);
			break;
		case 1u:
			CHECK_EQUAL(thecal_interlock_count(&core.interlock, 0u, 1u), 0);
			CHECK_EQUAL(thecal_motor_core_begin(&core, 1000u), -ENOSPC);
			break;
		default:
			CHECK_EQUAL(thecal_motor_core_begin(&core, 1000u), 0);
			thecal_motor_core_made(&core, 1000u, 50u);
			CHECK_EQUAL(core.faults, 0);
			thecal_motor_core_made(&core, 1000u, 1u);
			core.faults &= (uint16_t)~THECAL_MOTOR_FAULT_HARDWARE;
			break;
		}
		CHECK_EQUAL(core.orders_held, 0);
		CHECK_EQUAL(core.faults, THECAL_MOTOR_FAULT_ALLOWANCE | THECAL_MOTOR_FAULT_INTERLOCK);
		CHECK_EQUAL(status_of(&core, 1000u).interlock, THECAL_INTERLOCK_TRIPPED);
	}
}

/* What is kept counts every step that may be made before the reset. */
static void a_saved_core_counts_what_is_on_its_way(void)
{
	struct thecal_motor_core core = armed_core(50u, 50u);
	struct thecal_interlock_history history;
	const struct thecal_motor_order first = order_of(0u, SHORTEST_NS, 10u);
	const struct thecal_motor_order second = order_of(100000u, SHORTEST_NS, 20u);
	const struct thecal_motor_order fits = order_of(0u, SHORTEST_NS, 20u);
	const struct thecal_motor_order one_more = order_of(0u, SHORTEST_NS, 21u);

	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &first), 0);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &second), 0);
	(void)thecal_motor_core_advance(&core, 0u);
	CHECK_EQUAL(thecal_motor_core_save(&core, 0u, &history), 0);
	CHECK_EQUAL(thecal_motor_core_init(&core, &implant), 0);
	CHECK_EQUAL(thecal_motor_core_restore(&core, 0u, &history), -EACCES);
	CHECK_EQUAL(thecal_motor_core_open(&core), 0);
	CHECK_EQUAL(thecal_motor_core_restore(&core, 0u, &history), 0);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &one_more), -ENOSPC);
	CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &fits), 0);
}

static void a_level_is_a_longer_pulse_and_the_same_rest(void)
{
	static const uint32_t pulses_us[] = {3000u, 4500u, 6000u};

	for (uint8_t level = 0u; level <= 4u; level++) {
		struct thecal_motor_core core = open_core(&implant);
		struct thecal_motor_order order = order_of(0u, SHORTEST_NS, 2u);
		struct thecal_motor_order next = order_of(0u, SHORTEST_NS, 1u);
		uint64_t shortest_us;

		order.level = level;
		if (level < 1u || level > 3u) {
			order.period_ns = 1000000000u;
			CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), -EINVAL);
			continue;
		}
		shortest_us = pulses_us[level - 1u] + SHORTEST_US - PHASE_US;
		CHECK_EQUAL(thecal_motor_core_pulse_us(&implant, level), pulses_us[level - 1u]);
		order.period_ns = shortest_us * 1000u - 1u;
		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), -EINVAL);
		order.period_ns += 1u;
		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &order), 0);
		CHECK_EQUAL(thecal_motor_core_order_end_us(&core), shortest_us + pulses_us[level - 1u]);
		next.first_at_us = 2u * shortest_us - 1u;
		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &next), -EBUSY);
		next.first_at_us += 1u;
		CHECK_EQUAL(thecal_motor_core_submit(&core, 0u, &next), 0);
		CHECK(thecal_motor_core_advance(&core, 0u) != 0u);
		CHECK(thecal_motor_core_advance(&core, pulses_us[level - 1u] - 1u) != 0u);
		CHECK_EQUAL(thecal_motor_core_advance(&core, pulses_us[level - 1u]), 0);
		CHECK_EQUAL(thecal_motor_core_next_event_us(&core), shortest_us);
		CHECK(thecal_motor_core_advance(&core, shortest_us) != 0u);
		CHECK_EQUAL(thecal_motor_core_advance(&core, shortest_us + pulses_us[level - 1u]), 0);
		/* The next order has its own level. */
		CHECK(thecal_motor_core_advance(&core, 2u * shortest_us) != 0u);
		CHECK_EQUAL(thecal_motor_core_advance(&core, 2u * shortest_us + PHASE_US), 0);
		CHECK_EQUAL(core.commanded_steps, 3);
	}
}

int main(void)
{
	RUN(bounds_that_contradict_each_other_are_refused);
	RUN(what_is_accepted_is_what_the_header_says);
	RUN(steps_come_at_their_exact_times);
	RUN(phases_take_turns_for_ever);
	RUN(overdue_steps_never_come_faster_than_the_motor_may_turn);
	RUN(a_late_step_is_reported_from_five_milliseconds_on);
	RUN(the_announced_end_is_the_end);
	RUN(orders_follow_each_other_without_a_seam);
	RUN(two_orders_are_held_and_no_more);
	RUN(cancel_finishes_the_pulse_and_tells_what_was_made);
	RUN(off_cuts_the_pulse_and_is_for_good);
	RUN(the_ceiling_holds_for_what_is_queued_as_well);
	RUN(a_cancelled_order_is_not_held_against_the_ceiling);
	RUN(damage_on_the_way_stops_before_the_next_step);
	RUN(an_accepted_order_that_meets_the_ceiling_is_dropped);
	RUN(the_end_of_time_stops_nothing_but_the_motor);
	RUN(time_that_goes_back_is_the_latest_time_seen);
	RUN(hardware_steps_are_accounted_to_their_orders);
	RUN(hardware_is_not_loaded_against_the_interlock);
	RUN(hardware_is_loaded_ahead_of_time);
	RUN(an_order_needs_an_allowance);
	RUN(an_accepted_order_that_meets_the_allowance_trips);
	RUN(a_saved_core_counts_what_is_on_its_way);
	RUN(a_level_is_a_longer_pulse_and_the_same_rest);
	return checked("motor_core");
}
