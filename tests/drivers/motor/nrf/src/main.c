/*
 * A motor that turns once a second while it advertises: for a bench with a scope on the phases.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include <thecal/motor.h>
#include <thecal/zephyr/motor_driver.h>

static K_SEM_DEFINE(order_ended, 0, 1);

static void on_order_ended(void)
{
	k_sem_give(&order_ended);
}

int main(void)
{
	struct thecal_motor_order order = {
		.first_at_us = thecal_motor_now_us() + 1000000u,
		.period_ns = 1000000000u,
		.steps = 30u,
		.level = THECAL_MOTOR_LEVEL_NOMINAL,
	};
	struct thecal_motor_status status;

	(void)bt_enable(NULL);
	(void)bt_le_adv_start(BT_LE_ADV_CONN_FAST_1, NULL, 0, NULL, 0);
	thecal_motor_on_order_ended(on_order_ended);
	(void)thecal_motor_arm(UINT32_MAX, UINT32_MAX);
	for (;;) {
		while (thecal_motor_submit(&order) == 0) {
			order.id++;
			order.first_at_us += 30000000u;
		}
		(void)k_sem_take(&order_ended, K_SECONDS(10));
		if (thecal_motor_status(&status) == 0) {
			printk("commanded %u counted %d faults %x\n", (uint32_t)status.commanded_steps,
			       (int)status.counted_pulses, status.faults);
		}
	}
	return 0;
}
