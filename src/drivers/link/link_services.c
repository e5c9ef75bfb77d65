/*
 * The services of other standards beside the pump's own: what it says of itself to everybody.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Device Information is Zephyr's, made of Kconfig alone: manufacturer, model and firmware revision. Whoever connects reads it, so there is no
 * serial number in it, nor anything else by which one pump is told from another.
 */
#include <thecal/link.h>

#include <errno.h>

#include <zephyr/bluetooth/services/bas.h>
#include <zephyr/init.h>
#include <zephyr/sys/util.h>

#ifdef CONFIG_BT_DIS_SERIAL_NUMBER
#error "A pump does not tell everybody which one it is."
#endif

/* Finer steps would tell one pump from the other, and everybody reads them. */
#define STEP_PERCENT 10u

int32_t thecal_link_set_battery(uint32_t percent)
{
	uint8_t level;
	int result;

	if (percent > 100u) {
		return -EINVAL;
	}
	level = (uint8_t)(percent - percent % STEP_PERCENT);
	/* Notifies; so not of what is known already. */
	if (level == bt_bas_get_battery_level()) {
		return 0;
	}
	result = bt_bas_set_battery_level(level);
	/* Before Bluetooth has begun there is nobody to notify. */
	return result == -EAGAIN ? 0 : result;
}

/* Zephyr's service begins full. What is not known is not full. */
static int begin_empty(void)
{
	(void)bt_bas_set_battery_level(0u);
	return 0;
}

SYS_INIT(begin_empty, APPLICATION, CONFIG_APPLICATION_INIT_PRIORITY);
