/*
 * The services of other standards beside the pump's own: what it says of itself to everybody.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Device Information is Zephyr's, made of Kconfig alone: manufacturer, model and firmware revision. Whoever connects reads it, so there is no
 * serial number in it, nor anything else by which one pump is told from another.
 */
#include "link_internal.h"

#include <thecal/link.h>

#include <errno.h>

#include <zephyr/bluetooth/services/bas.h>
#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/atomic.h>
#include <zephyr/sys/util.h>

#ifdef CONFIG_BT_DIS_SERIAL_NUMBER
#error "A pump does not tell everybody which one it is."
#endif

/* Finer steps would tell one pump from the other, and everybody reads them. */
#define STEP_PERCENT 10u

static atomic_t battery_level;

static void tell_battery(struct k_work *work)
{
	/* It notifies, and is on the work queue because it would wait for a buffer elsewhere (link_gatt.c). Nobody is there: nobody to notify. */
	if (bt_bas_set_battery_level((uint8_t)atomic_get(&battery_level)) == -ENOMEM) {
		(void)k_work_schedule(k_work_delayable_from_work(work), K_MSEC(LINK_SEND_RETRY_MS));
	}
}

static K_WORK_DELAYABLE_DEFINE(telling, tell_battery);

int32_t thecal_link_set_battery(uint32_t percent)
{
	atomic_val_t level;

	if (percent > 100u) {
		return -EINVAL;
	}
	level = (atomic_val_t)(percent - percent % STEP_PERCENT);
	/* Not what is known already. */
	if (atomic_set(&battery_level, level) != level) {
		(void)k_work_reschedule(&telling, K_NO_WAIT);
	}
	return 0;
}

/* Zephyr's service begins full. What is not known is not full. */
static int begin_empty(void)
{
	(void)bt_bas_set_battery_level(0u);
	return 0;
}

SYS_INIT(begin_empty, APPLICATION, CONFIG_APPLICATION_INIT_PRIORITY);
