/*
 * The hardware watchdog of the device tree's alias watchdog0, or none.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <thecal/watchdog.h>

#include <errno.h>

#include <zephyr/devicetree.h>
#include <zephyr/sys/util.h>

BUILD_ASSERT(2 * CONFIG_THECAL_WATCHDOG_FEED_MS <= CONFIG_THECAL_WATCHDOG_MS,
	     "one late feeding must not cost a reset");

#if DT_NODE_HAS_STATUS_OKAY(DT_ALIAS(watchdog0))

#ifndef CONFIG_WATCHDOG
#error "This board has a watchdog: CONFIG_WATCHDOG=y is needed to use it."
#endif

#include <thecal/motor.h>

#include <zephyr/device.h>
#include <zephyr/drivers/watchdog.h>

static const struct device *const watchdog = DEVICE_DT_GET(DT_ALIAS(watchdog0));
static int channel = -1;

/* The nRF52 gives two periods of its 32 kHz clock, some 61 us, between this and the reset. */
static void bites(const struct device *device, int which)
{
	ARG_UNUSED(device);
	ARG_UNUSED(which);
#ifdef CONFIG_THECAL_MOTOR
	thecal_motor_off();
#endif
}

int32_t thecal_watchdog_start(void)
{
	const struct wdt_timeout_cfg timeout = {
		.window = {.min = 0, .max = CONFIG_THECAL_WATCHDOG_MS},
		.callback = bites,
		.flags = WDT_FLAG_RESET_SOC,
	};
	int result;

	if (!device_is_ready(watchdog)) {
		return -ENODEV;
	}
	result = wdt_install_timeout(watchdog, &timeout);
	if (result < 0) {
		return result;
	}
	channel = result;
	/* Runs on while the processor sleeps, which it nearly always does. */
	return wdt_setup(watchdog, WDT_OPT_PAUSE_HALTED_BY_DBG);
}

void thecal_watchdog_feed(void)
{
	if (channel >= 0) {
		(void)wdt_feed(watchdog, channel);
	}
}

#else

int32_t thecal_watchdog_start(void)
{
	return THECAL_WATCHDOG_ABSENT;
}

void thecal_watchdog_feed(void)
{
}

#endif
