/*
 * The hardware-stepped motor over a model of the nRF52's peripherals: clock, pulse, counter, and a processor that may
 * be halted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <string.h>

#include "../../../../src/drivers/motor/stepper.h"
#include "check.h"

#define SECOND_US   1000000u
#define PHASE_US    3000u
#define SHORTEST_US 5000u
#define NEVER       UINT64_MAX

/* Model time is counted in 1/512 us: a tick is 15,625 of them, exactly. */
#define UNITS_PER_TICK 15625u
#define UNITS_PER_US   512u

static const struct thecal_motor_config implant = {
	.phase_time_us = PHASE_US,
	.maximum_step_rate = 200u,
	.ceiling_steps = 440000u,
	.ceiling_window_ms = 3600000u,
	.steps_per_encoder_pulse = 1u,
};

enum { BEGUN_KEPT = 70000 };

/* The chip. */
static struct {
	uint64_t now; /* units */
	struct thecal_stepper_load load;
	uint64_t loaded_tick;
	bool clock_running;
	uint32_t begun; /* of this load */
	uint32_t ended;
	uint32_t phase; /* on now */
	uint64_t pulse_ends;
	bool interrupt_pending;
	uint64_t halted_tick;
	uint64_t wake_tick;
	/* The processor does nothing before. */
	uint64_t processor_back;
	/* Everything that came about. */
	uint64_t begun_at[BEGUN_KEPT];
	uint32_t phase_of[BEGUN_KEPT];
	uint32_t total;
	uint32_t loads;
	uint32_t extensions;
	uint32_t interrupts;
	uint32_t wakes;
	uint32_t pulse_units; /* length of a pulse: the oscillator is not exact */
} chip;

static struct thecal_stepper stepper;

static uint64_t chip_now_tick(void)
{
	return chip.now / UNITS_PER_TICK;
}

static uint64_t chip_now_us(void)
{
	return chip_now_tick() * UNITS_PER_TICK / UNITS_PER_US;
}

static void chip_begin(const struct thecal_stepper_load *load)
{
	/* What the header promises the hardware. */
	CHECK(!chip.clock_running);
	CHECK(chip.phase == 0u);
	CHECK(chip_now_tick() >= chip.halted_tick + THECAL_STEPPER_SETTLE_TICKS);
	CHECK(load->wait_ticks >= THECAL_STEPPER_LEAST_WAIT_TICKS);
	CHECK(load->wait_ticks < load->pair_ticks / 2u);
	CHECK(load->pair_ticks < 1u << 24);
	CHECK(load->stop_at >= 1u && load->interrupt_at >= 1u && load->interrupt_at <= load->stop_at);
	chip.load = *load;
	chip.loaded_tick = chip_now_tick();
	chip.clock_running = true;
	chip.begun = 0u;
	chip.ended = 0u;
	chip.loads++;
}

static void chip_extend(uint32_t stop_at, uint32_t interrupt_at)
{
	CHECK(chip.clock_running);
	CHECK(stop_at >= chip.load.stop_at);
	CHECK(interrupt_at <= stop_at);
	/* On the chip time passes while this is written: the old stop must be at least a whole interval away. */
	CHECK(stop_at == chip.load.stop_at || chip.begun + 1u < chip.load.stop_at);
	chip.load.stop_at = stop_at;
	chip.load.interrupt_at = interrupt_at;
	chip.extensions++;
}

static void chip_halt(void)
{
	chip.clock_running = false;
	chip.halted_tick = chip_now_tick();
}

static uint32_t chip_pulses_ended(void)
{
	return chip.ended;
}

static bool chip_pulse_active(void)
{
	return chip.phase != 0u;
}

static void chip_wake_at(uint64_t tick)
{
	chip.wake_tick = tick;
}

static void chip_wake_never(void)
{
	chip.wake_tick = NEVER;
}

static const struct thecal_stepper_hardware hardware = {
	.now_tick = chip_now_tick,
	.begin = chip_begin,
	.extend = chip_extend,
	.halt = chip_halt,
	.pulses_ended = chip_pulses_ended,
	.pulse_active = chip_pulse_active,
	.wake_at = chip_wake_at,
	.wake_never = chip_wake_never,
};

/* When the clock begins the next pulse, units. */
static uint64_t next_begin(void)
{
	if (!chip.clock_running) {
		return NEVER;
	}
	return (chip.loaded_tick + chip.load.wait_ticks + (uint64_t)(chip.begun / 2u) * chip.load.pair_ticks +
		(chip.begun % 2u != 0u ? chip.load.pair_ticks / 2u : 0u)) *
	       UNITS_PER_TICK;
}

static uint64_t earliest(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

/* Peripherals first, then the processor if it is there. */
static void chip_run(uint64_t until)
{
	for (;;) {
		const uint64_t begins = next_begin();
		const uint64_t ends = chip.phase != 0u ? chip.pulse_ends : NEVER;
		const uint64_t wakes = chip.wake_tick == NEVER ? NEVER : chip.wake_tick * UNITS_PER_TICK;
		const uint64_t interrupt = chip.interrupt_pending ? 0u : NEVER;
		uint64_t processor = earliest(wakes, interrupt);
		uint64_t next;

		if (processor != NEVER && processor < chip.processor_back) {
			processor = chip.processor_back;
		}
		next = earliest(earliest(begins, ends), processor);
		if (next > until) {
			break;
		}
		chip.now = next > chip.now ? next : chip.now;
		if (next == ends) {
			chip.phase = 0u;
			chip.ended++;
			/* The counter stops the clock by itself. */
			if (chip.ended == chip.load.stop_at) {
				chip.clock_running = false;
				chip.halted_tick = chip_now_tick();
			}
			if (chip.ended == chip.load.stop_at || chip.ended == chip.load.interrupt_at) {
				chip.interrupt_pending = true;
			}
		} else if (next == begins) {
			CHECK(chip.phase == 0u);
			chip.phase = chip.begun % 2u == 0u ? chip.load.first_phase : chip.load.first_phase ^ 3u;
			chip.pulse_ends = chip.now + chip.pulse_units;
			chip.begun++;
			if (chip.total < BEGUN_KEPT) {
				chip.begun_at[chip.total] = chip.now;
				chip.phase_of[chip.total] = chip.phase;
			}
			chip.total++;
		} else if (chip.interrupt_pending) {
			chip.interrupt_pending = false;
			chip.interrupts++;
			thecal_stepper_interrupt(&stepper);
		} else {
			chip.wake_tick = NEVER;
			chip.wakes++;
			thecal_stepper_wake(&stepper);
		}
	}
	chip.now = until > chip.now ? until : chip.now;
}

static void chip_run_to_us(uint64_t until_us)
{
	chip_run(until_us * UNITS_PER_US);
}

static void start(const struct thecal_motor_config *config)
{
	memset(&chip, 0, sizeof(chip));
	chip.wake_tick = NEVER;
	chip.pulse_units = PHASE_US * UNITS_PER_US;
	CHECK_EQUAL(thecal_stepper_init(&stepper, &hardware, config), 0);
	CHECK_EQUAL(thecal_stepper_arm(&stepper, UINT32_MAX, UINT32_MAX), 0);
}

static struct thecal_motor_order order_of(uint64_t first_at_us, uint64_t period_ns, uint32_t steps)
{
	return (struct thecal_motor_order){
		.first_at_us = first_at_us, .period_ns = period_ns, .id = 1u, .steps = steps, .level = 1u};
}

static struct thecal_motor_status status_now(void)
{
	struct thecal_motor_status status;

	memset(&status, 0, sizeof(status));
	thecal_stepper_status(&stepper, &status);
	return status;
}

/* What holds whatever happened: the phases take turns, steps are not too close, all is accounted. */
static void check_the_whole_run(void)
{
	const uint32_t kept = chip.total < BEGUN_KEPT ? chip.total : BEGUN_KEPT;

	for (uint32_t k = 0u; k < kept; k++) {
		CHECK_EQUAL(chip.phase_of[k], k % 2u == 0u ? THECAL_MOTOR_PHASE_A : THECAL_MOTOR_PHASE_B);
		CHECK(k == 0u || chip.begun_at[k] - chip.begun_at[k - 1u] >= (uint64_t)SHORTEST_US * UNITS_PER_US);
	}
	CHECK_EQUAL(status_now().commanded_steps, chip.total);
	CHECK_EQUAL(stepper.core.interlock.windows[0].sum_steps.value <= chip.total, 1);
}

static __int128 late_us_512(uint32_t k, uint64_t due_us)
{
	return (__int128)chip.begun_at[k] - (__int128)due_us * UNITS_PER_US;
}

static void an_order_is_made_without_the_processor(void)
{
	static const uint64_t periods_ns[] = {5004883u, 9000000u, 864000000u, 4500000000u};
	static const uint32_t steps[] = {1u, 2u, 3u, 13u, 500u};

	for (size_t p = 0u; p < COUNT_OF(periods_ns); p++) {
		for (size_t s = 0u; s < COUNT_OF(steps); s++) {
			const struct thecal_motor_order order = order_of(100000u, periods_ns[p], steps[s]);

			if ((steps[s] - 1u) * periods_ns[p] > 59000000000u) {
				continue;
			}
			start(&implant);
			CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), 0);
			chip_run_to_us(99000u);
			/* Loaded: from here on the processor is away. */
			chip.processor_back = 100u * SECOND_US * (uint64_t)UNITS_PER_US;
			chip_run_to_us(90u * SECOND_US);
			CHECK_EQUAL(chip.total, steps[s]);
			CHECK_EQUAL(chip.loads, 1);
			for (uint32_t k = 0u; k < steps[s]; k++) {
				const __int128 late = late_us_512(k, 100000u + k * periods_ns[p] / 1000u);

				CHECK(late <= 3900 * 512 && late >= -3900 * 512);
			}
			chip_run_to_us(101u * SECOND_US);
			CHECK_EQUAL(status_now().orders_held, 0);
			CHECK_EQUAL(status_now().orders_ended, 1);
			CHECK_EQUAL(status_now().last_order_steps, steps[s]);
			CHECK_EQUAL(status_now().faults, 0);
			check_the_whole_run();
		}
	}
}

/*
 * An infusion cut into orders as `therapy` cuts it, handed over as early as the motor takes them. The processor is
 * halted for up to halt_us at random moments.
 */
static void infuse(uint64_t period_ns, uint64_t duration_us, uint64_t halt_us, bool joins_expected)
{
	const uint32_t in_window = (uint32_t)(30000000000u / period_ns);
	const uint32_t per_order = in_window == 0u ? 1u : in_window > 500u ? 500u : in_window;
	uint64_t chance = period_ns + halt_us;
	uint64_t step = 0u;
	uint64_t worst = 0u;
	uint32_t orders = 0u;
	struct thecal_motor_status status;

	start(&implant);
	while (chip_now_us() < duration_us) {
		while (stepper.core.orders_held < THECAL_MOTOR_ORDERS) {
			const uint64_t first_us = 1000u + (uint64_t)((unsigned __int128)step * period_ns / 1000u);
			const struct thecal_motor_order order = order_of(first_us, period_ns, per_order);

			if (first_us + (per_order - 1u) * period_ns / 1000u > chip_now_us() + 60u * SECOND_US) {
				break;
			}
			CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), 0);
			step += per_order;
			orders++;
		}
		/* One at a time: an erase of a page is followed by the writes it was for. */
		if (halt_us != 0u && chip.now > chip.processor_back + 3u * halt_us * UNITS_PER_US &&
		    test_random(&chance) % 2u == 0u) {
			chip.processor_back = chip.now + test_random(&chance) % (halt_us * UNITS_PER_US);
		}
		chip_run(chip.now + test_random(&chance) % (SECOND_US * UNITS_PER_US));
		/* The thread that orders is halted with the processor. */
		chip_run(chip.processor_back > chip.now ? chip.processor_back : chip.now);
		status = status_now();
		CHECK(status.commanded_steps == chip.total);
		if (check_failures != 0u) {
			return;
		}
	}
	for (uint32_t k = 0u; k < chip.total && k < BEGUN_KEPT; k++) {
		const __int128 late = late_us_512(k, 1000u + (uint64_t)((unsigned __int128)k * period_ns / 1000u));
		const uint64_t size = (uint64_t)(late < 0 ? -late : late);

		worst = size > worst ? size : worst;
	}
	/* Each order anew, or within the tolerance; a halt at a seam adds itself, no more, and nothing to slow steps. */
	CHECK(worst <= (4100u + (period_ns > 250000000u ? 0u : halt_us)) * UNITS_PER_US);
	check_the_whole_run();
	CHECK_EQUAL(chip.loads + stepper.core.orders_held >= 1u, 1);
	if (halt_us == 0u || period_ns > 250000000u) {
		CHECK_EQUAL(status_now().faults, 0);
	}
	if (joins_expected) {
		/* Most seams need no processor at all. */
		CHECK(chip.loads * 5u < orders);
	}
	/* Wake-ups by order, not by step: its end, and up to three to load a plan. */
	CHECK(chip.interrupts <= orders + 1u);
	CHECK(chip.wakes <= 3u * orders + 3u);
}

static void an_infusion_is_seamless(void)
{
	infuse(36000000000u, 3600u * (uint64_t)SECOND_US, 0u, false); /* 0.006 mL/day */
	infuse(4500000000u, 7200u * (uint64_t)SECOND_US, 0u, true);   /* 0.048 mL/day */
	infuse(864000000u, 7200u * (uint64_t)SECOND_US, 0u, true);    /* 0.25 mL/day */
	infuse(859523123u, 7200u * (uint64_t)SECOND_US, 0u, true);
	infuse(59523123u, 1800u * (uint64_t)SECOND_US, 0u, false);
	infuse(9000000u, 600u * (uint64_t)SECOND_US, 0u, false);      /* 24 mL/day */
	infuse(5004883u, 300u * (uint64_t)SECOND_US, 0u, false);
}

static void halts_cost_no_step_and_little_time(void)
{
	infuse(36000000000u, 3600u * (uint64_t)SECOND_US, 100000u, false);
	infuse(4500000000u, 3600u * (uint64_t)SECOND_US, 100000u, true);
	infuse(864000000u, 3600u * (uint64_t)SECOND_US, 100000u, true);
	infuse(859523123u, 3600u * (uint64_t)SECOND_US, 100000u, true);
	infuse(259523123u, 3600u * (uint64_t)SECOND_US, 100000u, false);
	infuse(59523123u, 600u * (uint64_t)SECOND_US, 100000u, false);
	infuse(9000000u, 600u * (uint64_t)SECOND_US, 100000u, false);
}

static void cancel_is_exact_at_any_moment(void)
{
	for (uint64_t at_us = 0u; at_us <= 140000u; at_us += 130u) {
		const struct thecal_motor_order order = order_of(50000u, 10000000u, 5u);
		const struct thecal_motor_order behind = order_of(100000u, 10000000u, 5u);
		const struct thecal_motor_order after = order_of(at_us + 1000u, 5000000u, 8u);
		uint32_t before;
		uint32_t made;

		start(&implant);
		CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), 0);
		CHECK_EQUAL(thecal_stepper_submit(&stepper, &behind), 0);
		chip_run_to_us(at_us);
		before = chip.total;
		made = thecal_stepper_cancel(&stepper);
		/* What was begun is what was commanded, and what is told of the orders dropped. */
		CHECK_EQUAL(status_now().commanded_steps, before);
		CHECK(made == before || made + 5u == before || (made == 0u && before == 10u));
		CHECK_EQUAL(thecal_stepper_cancel(&stepper), 0);
		CHECK_EQUAL(status_now().orders_held, 0);
		/* Another at once: as soon as pulse and rest allow, and complete. */
		CHECK_EQUAL(thecal_stepper_submit(&stepper, &after), 0);
		chip_run_to_us(at_us + 200000u);
		CHECK_EQUAL(chip.total, before + 8u);
		CHECK(chip.begun_at[before] <= (at_us + 1000u + 2u * SHORTEST_US) * UNITS_PER_US);
		check_the_whole_run();
	}
	/* And nothing else comes. */
	start(&implant);
	const struct thecal_motor_order order = order_of(50000u, 10000000u, 50u);

	CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), 0);
	chip_run_to_us(61000u);
	CHECK_EQUAL(thecal_stepper_cancel(&stepper), 2);
	chip_run_to_us(60u * SECOND_US);
	CHECK_EQUAL(chip.total, 2);
	check_the_whole_run();
}

static void off_is_for_good(void)
{
	for (uint64_t at_us = 0u; at_us <= 110000u; at_us += 1111u) {
		const struct thecal_motor_order order = order_of(50000u, 10000000u, 5u);
		uint32_t before;

		start(&implant);
		CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), 0);
		chip_run_to_us(at_us);
		before = chip.total;
		thecal_stepper_off(&stepper);
		thecal_stepper_off(&stepper);
		chip_run_to_us(SECOND_US);
		CHECK_EQUAL(chip.total, before);
		CHECK_EQUAL(status_now().commanded_steps, before);
		CHECK_EQUAL(status_now().interlock, THECAL_INTERLOCK_OFF);
		CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), at_us > 1050000u ? -EINVAL : -EACCES);
	}
}

static void a_damaged_interlock_stops_the_hardware(void)
{
	const struct thecal_motor_order order = order_of(50000u, 100000000u, 100u);
	const struct thecal_motor_order later = order_of(500000u, 100000000u, 100u);

	/* Seen by a status. */
	start(&implant);
	CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), 0);
	chip_run_to_us(260000u);
	stepper.core.interlock.windows[0].buckets[7].value ^= 1u;
	CHECK_EQUAL(status_now().interlock, THECAL_INTERLOCK_TRIPPED);
	CHECK_EQUAL(status_now().orders_held, 0);
	CHECK_EQUAL(status_now().faults, THECAL_MOTOR_FAULT_INTERLOCK);
	chip_run_to_us(60u * SECOND_US);
	CHECK_EQUAL(chip.total, 3);
	check_the_whole_run();

	/* Seen when the next order is about to be loaded. */
	start(&implant);
	CHECK_EQUAL(thecal_stepper_submit(&stepper, &later), 0);
	stepper.core.interlock.windows[0].ceiling_steps.value ^= 1u;
	chip_run_to_us(60u * SECOND_US);
	CHECK_EQUAL(chip.total, 0);
	CHECK_EQUAL(status_now().orders_held, 0);

	/* Seen when steps are accounted. */
	start(&implant);
	CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), 0);
	chip_run_to_us(260000u);
	stepper.core.interlock.state.value ^= 1u;
	CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), -EACCES);
	chip_run_to_us(60u * SECOND_US);
	CHECK_EQUAL(chip.total, 3);
}

static void ceiling_run(uint64_t seed)
{
	struct thecal_motor_config config = implant;
	uint64_t chance = seed;
	uint32_t refused = 0u;
	uint64_t behind = 0u;

	config.ceiling_steps = 700u;
	config.ceiling_window_ms = 20000u;
	start(&config);
	for (unsigned round = 0u; round < 4000u; round++) {
		/* In statements of their own: in which order arguments are drawn is the compiler's choice. */
		const uint64_t first_us = chip_now_us() + test_random(&chance) % 100000u;
		const uint64_t period_ns = 5000000u + test_random(&chance) % 40000000u;
		const uint32_t steps = (uint32_t)(1u + test_random(&chance) % 500u);
		const struct thecal_motor_order order = order_of(first_us, period_ns, steps);

		if (test_random(&chance) % 20u == 0u) {
			(void)thecal_stepper_cancel(&stepper);
		} else {
			refused += thecal_stepper_submit(&stepper, &order) == -EPERM ? 1u : 0u;
		}
		chip_run(chip.now + test_random(&chance) % (400000u * UNITS_PER_US));
	}
	CHECK(refused > 100u);
	CHECK(chip.total < BEGUN_KEPT);
	for (uint64_t k = 0u; k < chip.total; k++) {
		while (chip.begun_at[behind] + 20000000ull * UNITS_PER_US <= chip.begun_at[k]) {
			behind++;
		}
		CHECK(k - behind + 1u <= 700u);
	}
	CHECK_EQUAL(status_now().faults & ~THECAL_MOTOR_FAULT_LATE, 0);
	check_the_whole_run();
}

static void the_ceiling_holds(void)
{
	for (uint64_t seed = 1u; seed <= 40u; seed++) {
		ceiling_run(seed);
	}
}

/* The next order, handed over at every moment of the running one. */
static void an_order_joins_only_while_there_is_time(void)
{
	uint32_t joined = 0u;
	uint32_t alone = 0u;

	for (uint64_t at_us = 1000u; at_us <= 125000u; at_us += 130u) {
		const struct thecal_motor_order order = order_of(50000u, 10000000u, 7u);
		const struct thecal_motor_order next = order_of(120000u, 10000000u, 7u);

		start(&implant);
		CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), 0);
		chip_run_to_us(at_us);
		CHECK_EQUAL(thecal_stepper_submit(&stepper, &next), 0);
		chip_run_to_us(SECOND_US);
		CHECK_EQUAL(chip.total, 14);
		joined += chip.loads == 1u ? 1u : 0u;
		alone += chip.loads == 2u ? 1u : 0u;
		for (uint32_t k = 0u; k < 14u; k++) {
			const __int128 late = late_us_512(k, 50000u + k * 10000u);

			/* One handed over at its very time is late by that. */
			CHECK(late >= -100 * 512 && late <= (at_us < 119000u ? 100 : 6000) * 512);
		}
		check_the_whole_run();
	}
	CHECK(joined > 100u && alone > 100u);
}

/* Pulses timed by an oscillator that is 8 % off. */
static void an_inexact_pulse_changes_nothing(void)
{
	for (unsigned long_one = 0u; long_one <= 1u; long_one++) {
		uint64_t now_us = 0u;

		start(&implant);
		chip.pulse_units = long_one != 0u ? 3240u * UNITS_PER_US : 2760u * UNITS_PER_US;
		for (unsigned round = 0u; round < 200u; round++) {
			const struct thecal_motor_order order = order_of(now_us, 5000000u, 20u);

			CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), 0);
			now_us += round % 2u == 0u ? 47000u : 150000u;
			chip_run_to_us(now_us);
			if (round % 2u == 0u) {
				(void)thecal_stepper_cancel(&stepper);
			}
		}
		check_the_whole_run();
	}
}

/* A status between a pulse's end and the interrupt, and in the last pulse of an order. */
static void looking_at_it_changes_nothing(void)
{
	for (uint64_t every_us = 70u; every_us <= 3000u; every_us += 330u) {
		const struct thecal_motor_order order = order_of(1000u, 5000000u, 20u);
		const struct thecal_motor_order next = order_of(101000u, 5000000u, 20u);
		uint64_t now_us = 0u;

		start(&implant);
		CHECK_EQUAL(thecal_stepper_submit(&stepper, &order), 0);
		CHECK_EQUAL(thecal_stepper_submit(&stepper, &next), 0);
		while (now_us < 300000u) {
			now_us += every_us;
			chip_run_to_us(now_us);
			CHECK_EQUAL(status_now().commanded_steps, chip.total);
		}
		CHECK_EQUAL(chip.total, 40);
		CHECK_EQUAL(status_now().orders_ended, 2);
		CHECK_EQUAL(status_now().faults, 0);
		check_the_whole_run();
	}
}

int main(void)
{
	RUN(an_order_is_made_without_the_processor);
	RUN(an_infusion_is_seamless);
	RUN(halts_cost_no_step_and_little_time);
	RUN(cancel_is_exact_at_any_moment);
	RUN(off_is_for_good);
	RUN(a_damaged_interlock_stops_the_hardware);
	RUN(the_ceiling_holds);
	RUN(an_order_joins_only_while_there_is_time);
	RUN(an_inexact_pulse_changes_nothing);
	RUN(looking_at_it_changes_nothing);
	return checked("stepper");
}
