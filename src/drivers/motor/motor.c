/*
 * The chosen motor behind plain functions: no struct device crosses to Rust. See thecal/motor.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>

#include <zephyr/device.h>
#include <zephyr/kernel.h>

#include <thecal/motor.h>
#include <thecal/zephyr/motor_driver.h>

#if !DT_HAS_CHOSEN(thecal_motor)
#error "THECAL_MOTOR needs a motor: chosen { thecal,motor = &...; } (dts/bindings/thecal,peristaltic-pump.yaml)"
#endif

static const struct device *const motor = DEVICE_DT_GET(DT_CHOSEN(thecal_motor));

uint64_t thecal_motor_now_us(void)
{
	return k_ticks_to_us_floor64((uint64_t)k_uptime_ticks());
}

int32_t thecal_motor_submit(const struct thecal_motor_order *order)
{
	if (!device_is_ready(motor)) {
		return -ENODEV;
	}
	return thecal_motor_api(motor)->submit(motor, order);
}

uint32_t thecal_motor_cancel(void)
{
	return device_is_ready(motor) ? thecal_motor_api(motor)->cancel(motor) : 0u;
}

int32_t thecal_motor_status(struct thecal_motor_status *status)
{
	if (!device_is_ready(motor)) {
		return -ENODEV;
	}
	thecal_motor_api(motor)->status(motor, status);
	return 0;
}

void thecal_motor_off(void)
{
	/* Not asked whether it is ready: a device that failed half way is a reason more. */
	thecal_motor_api(motor)->stop(motor);
}

void thecal_motor_on_order_ended(thecal_motor_order_ended_t callback)
{
	thecal_motor_api(motor)->on_order_ended(motor, callback);
}
