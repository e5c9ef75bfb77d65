/*
 * The emulated motor through its driver API: what the firmware will see, in simulated time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <zephyr/device.h>
#include <zephyr/irq.h>
#include <zephyr/kernel.h>
#include <zephyr/ztest.h>

#include <thecal/interlock.h>
#include <thecal/motor.h>
#include <thecal/zephyr/motor_driver.h>

#define MOTOR        DEVICE_DT_GET(DT_NODELABEL(motor))
#define MOTOR_LOW    DEVICE_DT_GET(DT_NODELABEL(motor_low))
#define MOTOR_COARSE DEVICE_DT_GET(DT_NODELABEL(motor_coarse))
#define MOTOR_ARMED  DEVICE_DT_GET(DT_NODELABEL(motor_armed))
#define MOTOR_BROKEN DEVICE_DT_GET(DT_NODELABEL(motor_broken))

static const struct thecal_rotor_parameters faultless = {.minimum_pulse_us = 2000u};

/* 0.25 mL/day: a step every 864 ms (clinical.md 2.10). */
static struct thecal_motor_order usual_order(uint32_t id, uint64_t in_us, uint32_t steps)
{
	return (struct thecal_motor_order){
		.first_at_us = thecal_motor_now_us() + in_us, .period_ns = 864000000u, .id = id, .steps = steps, .level = THECAL_MOTOR_LEVEL_NOMINAL};
}

/* As fast as the motor turns. */
static struct thecal_motor_order fast_order(uint32_t id, uint64_t in_us, uint32_t steps)
{
	struct thecal_motor_order order = usual_order(id, in_us, steps);

	order.period_ns = 5000000u;
	return order;
}

static struct thecal_motor_status status_of(const struct device *dev)
{
	struct thecal_motor_status status;

	thecal_motor_api(dev)->status(dev, &status);
	return status;
}

static atomic_t told;

static void order_ended(void)
{
	(void)atomic_inc(&told);
}

static void before_each(void *fixture)
{
	ARG_UNUSED(fixture);
	thecal_motor_emul_change_rotor(MOTOR, &faultless);
	(void)thecal_motor_cancel();
	/* A pulse that a cancel left to finish. */
	k_sleep(K_MSEC(50));
}

/* The hard ceiling alone, for all tests but those of the allowance. */
static void *before_all(void)
{
	static const struct device *const motors[] = {MOTOR, MOTOR_LOW, MOTOR_COARSE};
	const struct thecal_motor_order order = usual_order(1u, 0u, 1u);

	for (size_t index = 0u; index < ARRAY_SIZE(motors); index++) {
		zassert_equal(thecal_motor_api(motors[index])->submit(motors[index], &order), THECAL_MOTOR_NOT_ARMED);
		zassert_equal(status_of(motors[index]).armed, 0u);
		zassert_ok(thecal_motor_api(motors[index])->arm(motors[index], UINT32_MAX, UINT32_MAX));
		zassert_equal(status_of(motors[index]).armed, 1u);
	}
	return NULL;
}

ZTEST_SUITE(motor, NULL, before_all, before_each, NULL, NULL);

ZTEST(motor, test_an_order_is_delivered_within_one_step_all_the_way)
{
	const struct thecal_motor_order order = usual_order(5u, 200000u, 34u);
	const uint64_t commanded = status_of(MOTOR).commanded_steps;
	const int64_t counted = status_of(MOTOR).counted_pulses;

	zassert_ok(thecal_motor_submit(&order));
	for (unsigned int look = 0u; look < 300u; look++) {
		const struct thecal_motor_status status = status_of(MOTOR);
		int64_t due = status.at_us < order.first_at_us ? 0 : (int64_t)((status.at_us - order.first_at_us) / 864000u) + 1;

		due = MIN(due, (int64_t)order.steps);
		zassert_equal((int64_t)(status.commanded_steps - commanded), due, "at %u us", (uint32_t)status.at_us);
		zassert_within(status.counted_pulses - counted, due, 1, "at %u us", (uint32_t)status.at_us);
		k_sleep(K_MSEC(100));
	}
	zassert_equal(status_of(MOTOR).commanded_steps - commanded, 34u);
	zassert_equal(status_of(MOTOR).counted_pulses - counted, 34);
	zassert_equal(status_of(MOTOR).last_order, 5u);
	zassert_equal(status_of(MOTOR).last_order_steps, 34u);
	zassert_equal(status_of(MOTOR).orders_held, 0u);
	zassert_equal(status_of(MOTOR).interlock, THECAL_INTERLOCK_OPEN);
	zassert_equal(status_of(MOTOR).faults, 0u);
}

ZTEST(motor, test_queued_orders_follow_and_each_end_is_told_once)
{
	const struct thecal_motor_order first = fast_order(1u, 100000u, 10u);
	const struct thecal_motor_order second = fast_order(2u, 150000u, 11u);
	const struct thecal_motor_order third = fast_order(3u, 300000u, 12u);
	const struct thecal_motor_status before = status_of(MOTOR);

	atomic_set(&told, 0);
	thecal_motor_on_order_ended(order_ended);
	zassert_ok(thecal_motor_submit(&first));
	zassert_ok(thecal_motor_submit(&second));
	zassert_equal(thecal_motor_submit(&third), -EBUSY);
	/* Woken by the end of an order, as the delivery thread is: nobody looks in between. */
	while (atomic_get(&told) == 0) {
		k_sleep(K_MSEC(10));
	}
	zassert_ok(thecal_motor_submit(&third));
	k_sleep(K_MSEC(500));
	zassert_equal(atomic_get(&told), 3);
	zassert_equal(status_of(MOTOR).orders_ended - before.orders_ended, 3u);
	zassert_equal(status_of(MOTOR).commanded_steps - before.commanded_steps, 33u);
	zassert_equal(status_of(MOTOR).counted_pulses - before.counted_pulses, 33);
	thecal_motor_on_order_ended(NULL);
}

ZTEST(motor, test_cancel_tells_what_was_made)
{
	const struct thecal_motor_order order = usual_order(9u, 0u, 30u);
	const struct thecal_motor_status before = status_of(MOTOR);
	struct thecal_motor_status after;

	zassert_ok(thecal_motor_submit(&order));
	k_sleep(K_MSEC(3 * 864 + 400));
	zassert_equal(thecal_motor_cancel(), 4u);
	zassert_equal(thecal_motor_cancel(), 0u);
	k_sleep(K_SECONDS(30));
	after = status_of(MOTOR);
	zassert_equal(after.commanded_steps - before.commanded_steps, 4u);
	zassert_equal(after.counted_pulses - before.counted_pulses, 4);
	zassert_equal(after.last_order_steps, 4u);
	zassert_equal(after.orders_held, 0u);
}

ZTEST(motor, test_refusals_change_nothing)
{
	struct thecal_motor_order none = usual_order(1u, 0u, 0u);
	struct thecal_motor_order many = usual_order(1u, 0u, THECAL_MOTOR_MAXIMUM_STEPS + 1u);
	struct thecal_motor_order long_one = usual_order(1u, 0u, 71u);
	struct thecal_motor_order quick = fast_order(1u, 0u, 2u);
	struct thecal_motor_order old = usual_order(1u, 0u, 2u);
	const struct thecal_motor_status before = status_of(MOTOR);

	quick.period_ns -= 1u;
	k_sleep(K_MSEC(1100));
	zassert_equal(thecal_motor_submit(&none), -EINVAL);
	zassert_equal(thecal_motor_submit(&many), -EINVAL);
	zassert_equal(thecal_motor_submit(&long_one), -EINVAL);
	zassert_equal(thecal_motor_submit(&quick), -EINVAL);
	zassert_equal(thecal_motor_submit(&old), -EINVAL);
	k_sleep(K_SECONDS(1));
	zassert_equal(status_of(MOTOR).commanded_steps, before.commanded_steps);
	zassert_equal(status_of(MOTOR).orders_held, 0u);
}

ZTEST(motor, test_a_stalled_rotor_shows_in_the_pulses_alone)
{
	const struct thecal_rotor_parameters stalled = {.minimum_pulse_us = 2000u, .stalled = 1u};
	const struct thecal_motor_order order = fast_order(1u, 0u, 60u);
	const struct thecal_motor_status before = status_of(MOTOR);
	const int64_t position = thecal_motor_emul_position(MOTOR);

	thecal_motor_emul_change_rotor(MOTOR, &stalled);
	zassert_ok(thecal_motor_submit(&order));
	k_sleep(K_SECONDS(1));
	zassert_equal(status_of(MOTOR).commanded_steps - before.commanded_steps, 60u);
	zassert_equal(status_of(MOTOR).counted_pulses, before.counted_pulses);
	zassert_equal(thecal_motor_emul_position(MOTOR), position);
}

ZTEST(motor, test_a_rotor_that_runs_by_itself_is_counted_while_stopped)
{
	const struct thecal_rotor_parameters runaway = {.minimum_pulse_us = 2000u, .runaway_period_us = 100000u};
	const struct thecal_motor_status before = status_of(MOTOR);

	thecal_motor_emul_change_rotor(MOTOR, &runaway);
	k_sleep(K_MSEC(1050));
	zassert_within(status_of(MOTOR).counted_pulses - before.counted_pulses, 20, 2);
	zassert_equal(status_of(MOTOR).commanded_steps, before.commanded_steps);
}

ZTEST(motor, test_a_reversed_rotor_counts_backward)
{
	const struct thecal_rotor_parameters reversed = {.minimum_pulse_us = 2000u, .reversed = 1u};
	const struct thecal_motor_order order = fast_order(1u, 0u, 20u);
	const struct thecal_motor_status before = status_of(MOTOR);

	thecal_motor_emul_change_rotor(MOTOR, &reversed);
	zassert_ok(thecal_motor_submit(&order));
	k_sleep(K_SECONDS(1));
	zassert_equal(status_of(MOTOR).counted_pulses - before.counted_pulses, -20);
}

/* The processor is away for 100 ms: the steps of an order are made by hardware, which the emulation is as exact as. */
ZTEST(motor, test_a_halt_of_100_ms_costs_no_step)
{
	const struct thecal_motor_order order = fast_order(1u, 10000u, 100u);
	const struct thecal_motor_status before = status_of(MOTOR);
	struct thecal_motor_status after;
	unsigned int key;

	zassert_ok(thecal_motor_submit(&order));
	k_sleep(K_MSEC(20));
	key = irq_lock();
	k_busy_wait(100000u);
	irq_unlock(key);
	after = status_of(MOTOR);
	zassert_equal(after.commanded_steps - before.commanded_steps, (after.at_us - order.first_at_us) / 5000u + 1u);
	k_sleep(K_SECONDS(1));
	after = status_of(MOTOR);
	zassert_equal(after.commanded_steps - before.commanded_steps, 100u);
	zassert_equal(after.counted_pulses - before.counted_pulses, 100);
	zassert_equal(after.faults, 0u);
}

ZTEST(motor, test_the_ceiling_of_the_node_holds)
{
	const struct thecal_motor_driver_api *api = thecal_motor_api(MOTOR_LOW);
	struct thecal_motor_order order = fast_order(1u, 0u, 60u);

	zassert_equal(status_of(MOTOR_LOW).interlock, THECAL_INTERLOCK_OPEN);
	zassert_ok(api->submit(MOTOR_LOW, &order));
	k_sleep(K_SECONDS(1));
	order = fast_order(2u, 0u, 41u);
	zassert_equal(api->submit(MOTOR_LOW, &order), -EPERM);
	order = fast_order(2u, 0u, 40u);
	zassert_ok(api->submit(MOTOR_LOW, &order));
	k_sleep(K_SECONDS(1));
	zassert_equal(status_of(MOTOR_LOW).commanded_steps, 100u);
	order = fast_order(3u, 0u, 1u);
	zassert_equal(api->submit(MOTOR_LOW, &order), -EPERM);
	/* Ten seconds and a twenty-fourth after the last of them, all is forgotten. */
	k_sleep(K_MSEC(10500));
	order = fast_order(4u, 0u, 100u);
	zassert_ok(api->submit(MOTOR_LOW, &order));
	k_sleep(K_SECONDS(1));
	zassert_equal(status_of(MOTOR_LOW).commanded_steps, 200u);
	zassert_equal(status_of(MOTOR_LOW).faults, 0u);
}

/* The node's own allowance: what is above it is refused, a grant adds to it, a history saved before goes on in none of it. */
ZTEST(motor, test_the_allowance_of_the_pump_holds)
{
	const struct thecal_motor_driver_api *api = thecal_motor_api(MOTOR_ARMED);
	struct thecal_motor_order order = fast_order(1u, 0u, 60u);
	struct thecal_interlock_history history;

	zassert_equal(api->save(MOTOR_ARMED, &history), -ENOENT);
	zassert_equal(api->arm(MOTOR_ARMED, 100u, 99u), -EINVAL);
	zassert_ok(api->arm(MOTOR_ARMED, 100u, 100u));
	zassert_ok(api->submit(MOTOR_ARMED, &order));
	k_sleep(K_SECONDS(1));
	order = fast_order(2u, 0u, 41u);
	zassert_equal(api->submit(MOTOR_ARMED, &order), THECAL_MOTOR_ALLOWANCE);
	zassert_ok(api->grant(MOTOR_ARMED, 1u, 60u));
	order = fast_order(2u, 0u, 41u);
	zassert_ok(api->submit(MOTOR_ARMED, &order));
	k_sleep(K_SECONDS(1));
	zassert_equal(status_of(MOTOR_ARMED).commanded_steps, 101u);
	zassert_equal(status_of(MOTOR_ARMED).faults, 0u);
	zassert_ok(api->save(MOTOR_ARMED, &history));
	zassert_equal(api->restore(MOTOR_ARMED, &history), -EACCES);
}

/* Without retained memory (as here) nothing is resumed, and arming goes on as before. */
ZTEST(motor, test_nothing_is_resumed_where_nothing_is_retained)
{
	zassert_equal(thecal_motor_resume(0u), THECAL_MOTOR_NOT_ARMED);
	zassert_equal(thecal_motor_resume(1u), THECAL_MOTOR_NOT_ARMED);
	zassert_equal(thecal_motor_arm(2u, 1u), THECAL_MOTOR_INVALID);
	zassert_ok(thecal_motor_arm(UINT32_MAX, UINT32_MAX));
	zassert_ok(thecal_motor_grant(1u, 1u));
}

/* A jam gives way to a pulse of 6 ms: the highest level's. */
ZTEST(motor, test_a_jam_gives_way_to_the_highest_level)
{
	const struct thecal_rotor_parameters jammed = {.minimum_pulse_us = 5000u};

	thecal_motor_emul_change_rotor(MOTOR, &jammed);
	for (uint8_t level = THECAL_MOTOR_LEVEL_NOMINAL; level <= THECAL_MOTOR_LEVEL_HIGHEST; level++) {
		const struct thecal_motor_status before = status_of(MOTOR);
		struct thecal_motor_order order = fast_order(level, 0u, 10u);

		order.period_ns = 50000000u;
		order.level = level;
		zassert_ok(thecal_motor_submit(&order));
		k_sleep(K_SECONDS(1));
		zassert_equal(status_of(MOTOR).commanded_steps - before.commanded_steps, 10u);
		zassert_within(status_of(MOTOR).counted_pulses - before.counted_pulses,
			       level == THECAL_MOTOR_LEVEL_HIGHEST ? 10 : 0, 1);
	}
}

ZTEST(motor, test_steps_per_encoder_pulse_comes_from_the_node)
{
	const struct thecal_motor_order order = fast_order(1u, 0u, 42u);
	struct thecal_motor_status status;

	zassert_ok(thecal_motor_api(MOTOR_COARSE)->submit(MOTOR_COARSE, &order));
	k_sleep(K_SECONDS(1));
	status = status_of(MOTOR_COARSE);
	zassert_equal(status.commanded_steps, 42u);
	zassert_equal(status.counted_pulses, 10);
	zassert_equal(status.steps_per_encoder_pulse, 4u);
}

ZTEST(motor, test_a_node_that_contradicts_itself_does_not_start)
{
	const struct thecal_motor_order order = usual_order(1u, 0u, 1u);

	zassert_false(device_is_ready(MOTOR_BROKEN));
	zassert_true(thecal_motor_api(MOTOR_BROKEN)->submit(MOTOR_BROKEN, &order) < 0);
	thecal_motor_api(MOTOR_BROKEN)->stop(MOTOR_BROKEN);
	zassert_equal(status_of(MOTOR_BROKEN).commanded_steps, 0u);
}

ZTEST(motor, test_drivers_are_known_by_their_class)
{
	zassert_true(DEVICE_API_IS(thecal_motor, MOTOR));
	zassert_true(DEVICE_API_IS(thecal_motor, MOTOR_LOW));
}

/* Last by name: nothing but a boot opens the interlock again. */
ZTEST(motor, test_z_off_is_immediate_and_for_good)
{
	const struct thecal_motor_order order = fast_order(1u, 0u, 100u);
	const struct thecal_motor_order after = fast_order(2u, 100000u, 1u);
	struct thecal_motor_status status;
	unsigned int key;

	zassert_ok(thecal_motor_submit(&order));
	k_sleep(K_MSEC(51));
	/* As the fatal handler calls it. */
	key = irq_lock();
	thecal_motor_off();
	status = status_of(MOTOR);
	thecal_motor_off();
	irq_unlock(key);
	zassert_equal(status.interlock, THECAL_INTERLOCK_OFF);
	zassert_equal(status.orders_held, 0u);
	k_sleep(K_SECONDS(1));
	zassert_equal(status_of(MOTOR).commanded_steps, status.commanded_steps);
	zassert_equal(thecal_motor_submit(&after), -EACCES);
	k_sleep(K_SECONDS(1));
	zassert_equal(status_of(MOTOR).commanded_steps, status.commanded_steps);
	zassert_equal(status_of(MOTOR).faults, 0u);
}
