/*
 * Time and waiting of the delivery thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <thecal/system.h>

#include <zephyr/kernel.h>
#include <zephyr/sys/util.h>

/* Longest wait: until the watchdog wants to be fed. */
#ifdef CONFIG_THECAL_WATCHDOG
#define LONGEST_WAIT_US (1000ULL * CONFIG_THECAL_WATCHDOG_FEED_MS)
#else
#define LONGEST_WAIT_US 10000000ULL
#endif

K_SEM_DEFINE(thecal_wake, 0, 1);
K_SEM_DEFINE(thecal_delivery_begun, 0, 1);

uint64_t thecal_system_uptime_us(void)
{
	return k_ticks_to_us_floor64((uint64_t)k_uptime_ticks());
}

void thecal_system_wait_until(uint64_t until_us)
{
	const uint64_t ticks = (uint64_t)k_uptime_ticks();
	const uint64_t longest = ticks + k_us_to_ticks_ceil64(LONGEST_WAIT_US);
	uint64_t until = longest;

	/* Compared before it is converted: the far future would overflow. */
	if (until_us < k_ticks_to_us_floor64(longest)) {
		until = k_us_to_ticks_ceil64(until_us);
	}
	(void)k_sem_take(&thecal_wake, K_TIMEOUT_ABS_TICKS(CLAMP(until, ticks + 1, longest)));
}

void thecal_system_wake(void)
{
	k_sem_give(&thecal_wake);
}

int32_t thecal_system_wait_for_delivery(uint32_t wait_ms)
{
	const int result = k_sem_take(&thecal_delivery_begun, K_MSEC(wait_ms));

	if (result == 0) {
		k_sem_give(&thecal_delivery_begun);
	}
	return result;
}

void thecal_system_delivery_has_begun(void)
{
	k_sem_give(&thecal_delivery_begun);
}
