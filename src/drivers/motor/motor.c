/*
 * The chosen motor behind plain functions: no struct device crosses to Rust. See thecal/motor.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>

#include <zephyr/device.h>
#include <zephyr/kernel.h>

#include <thecal/motor.h>
#include <thecal/retained.h>
#include <thecal/zephyr/motor_driver.h>

#if !DT_HAS_CHOSEN(thecal_motor)
#error "THECAL_MOTOR needs a motor: chosen { thecal,motor = &...; } (dts/bindings/thecal,peristaltic-pump.yaml)"
#endif

static const struct device *const motor = DEVICE_DT_GET(DT_CHOSEN(thecal_motor));

uint64_t thecal_motor_now_us(void)
{
	return k_ticks_to_us_floor64((uint64_t)k_uptime_ticks());
}

/*
 * Keeps the interlock's history over a reset. If it cannot be kept, or its words disagree, what was kept last stays: it
 * counts no fewer steps than were handed over by then.
 */
static void keep_history(void)
{
	struct thecal_interlock_history history;

	if (IS_ENABLED(CONFIG_THECAL_SYSTEM) && thecal_motor_api(motor)->save(motor, &history) == 0) {
		(void)thecal_retained_history_write(&history);
	}
}

int32_t thecal_motor_submit(const struct thecal_motor_order *order)
{
	int32_t answer;

	if (!device_is_ready(motor)) {
		return -ENODEV;
	}
	answer = thecal_motor_api(motor)->submit(motor, order);
	if (answer == 0) {
		keep_history();
	}
	return answer;
}

uint32_t thecal_motor_cancel(void)
{
	uint32_t made;

	if (!device_is_ready(motor)) {
		return 0u;
	}
	made = thecal_motor_api(motor)->cancel(motor);
	keep_history();
	return made;
}

int32_t thecal_motor_resume(uint32_t warm)
{
	struct thecal_interlock_history history;
	int32_t answer;

	if (!device_is_ready(motor)) {
		return -ENODEV;
	}
	if (!IS_ENABLED(CONFIG_THECAL_SYSTEM)) {
		return -ENOENT;
	}
	if (warm == 0u) {
		thecal_retained_history_forget();
		return -ENOENT;
	}
	if (thecal_retained_history_read(&history) != 0) {
		return -ENOENT;
	}
	answer = thecal_motor_api(motor)->restore(motor, &history);
	/* Whole, and yet nothing that save() writes: of another firmware. */
	return answer == -EINVAL ? -ENOENT : answer;
}

int32_t thecal_motor_arm(uint32_t hour_steps, uint32_t day_steps)
{
	int32_t answer;

	if (!device_is_ready(motor)) {
		return -ENODEV;
	}
	answer = thecal_motor_api(motor)->arm(motor, hour_steps, day_steps);
	if (answer == 0) {
		keep_history();
	}
	return answer;
}

int32_t thecal_motor_grant(uint32_t steps, uint32_t within_s)
{
	int32_t answer;

	if (!device_is_ready(motor)) {
		return -ENODEV;
	}
	answer = thecal_motor_api(motor)->grant(motor, steps, within_s);
	if (answer == 0) {
		keep_history();
	}
	return answer;
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
