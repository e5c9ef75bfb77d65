/*
 * Waiting of the delivery thread, and the watchdog that native_sim does not have.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <thecal/system.h>
#include <thecal/watchdog.h>

#include <zephyr/kernel.h>
#include <zephyr/ztest.h>

#define TICK_US (1000000 / CONFIG_SYS_CLOCK_TICKS_PER_SEC)

static void no_wake_left(void *unused)
{
	ARG_UNUSED(unused);
	thecal_system_wait_until(0);
}

ZTEST_SUITE(time, NULL, NULL, no_wake_left, NULL, NULL);

ZTEST(time, test_a_wait_ends_at_its_time_and_not_before)
{
	for (uint32_t wait_us = 1; wait_us < 1000000; wait_us = wait_us * 7 + 3) {
		const uint64_t until = thecal_system_uptime_us() + wait_us;

		thecal_system_wait_until(until);
		zassert_true(thecal_system_uptime_us() >= until);
		zassert_true(thecal_system_uptime_us() <= until + 2 * TICK_US);
	}
}

ZTEST(time, test_a_wait_for_the_past_still_lets_others_run)
{
	for (uint64_t until = 0; until < 3; until++) {
		const uint64_t began = thecal_system_uptime_us();

		thecal_system_wait_until(until);
		zassert_true(thecal_system_uptime_us() > began, "a thread that nothing interrupts would spin");
	}
}

ZTEST(time, test_no_wait_is_longer_than_the_watchdog_allows)
{
	static const uint64_t far[] = {100000000, UINT64_MAX / 1000000, UINT64_MAX / 2, UINT64_MAX};

	for (uint32_t index = 0; index < ARRAY_SIZE(far); index++) {
		const uint64_t began = thecal_system_uptime_us();
		uint64_t waited;

		thecal_system_wait_until(far[index]);
		waited = thecal_system_uptime_us() - began;
		zassert_true(waited >= 1000ULL * CONFIG_THECAL_WATCHDOG_FEED_MS, "%llu us", waited);
		zassert_true(waited <= 1000ULL * CONFIG_THECAL_WATCHDOG_FEED_MS + 2 * TICK_US, "%llu us", waited);
	}
}

ZTEST(time, test_a_wake_before_the_wait_counts_once)
{
	uint64_t began = thecal_system_uptime_us();

	thecal_system_wake();
	thecal_system_wake();
	thecal_system_wait_until(began + 1000000);
	zassert_true(thecal_system_uptime_us() - began < 1000);
	began = thecal_system_uptime_us();
	thecal_system_wait_until(began + 1000000);
	zassert_true(thecal_system_uptime_us() - began >= 1000000);
}

ZTEST(time, test_delivery_that_has_begun_stays_begun)
{
	zassert_not_ok(thecal_system_wait_for_delivery(10));
	thecal_system_delivery_has_begun();
	zassert_ok(thecal_system_wait_for_delivery(10));
	zassert_ok(thecal_system_wait_for_delivery(10));
}

ZTEST(time, test_the_watchdog_is_declared_absent)
{
	zassert_equal(thecal_watchdog_start(), THECAL_WATCHDOG_ABSENT);
	thecal_watchdog_feed();
}
