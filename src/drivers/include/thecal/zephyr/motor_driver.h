/*
 * What a motor device is to Zephyr: the driver API, and what tests may do to the emulated one.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * For C alone (it knows Zephyr's types); Rust sees thecal/motor.h. The application's one motor is the chosen node
 * thecal,motor.
 */
#ifndef THECAL_ZEPHYR_MOTOR_DRIVER_H
#define THECAL_ZEPHYR_MOTOR_DRIVER_H

#include <stdint.h>

#include <zephyr/device.h>

#include <thecal/interlock.h>
#include <thecal/motor.h>
#include <thecal/rotor.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Called when an order has ended that no status() or cancel() has told of yet, from an interrupt: it may give a
 * semaphore or wake a thread, nothing more.
 */
typedef void (*thecal_motor_order_ended_t)(void);

/** What each driver provides. The interlock opens when the device starts, with the ceiling of its node. */
__subsystem struct thecal_motor_driver_api {
	/** As thecal_motor_submit(). */
	int32_t (*submit)(const struct device *dev, const struct thecal_motor_order *order);
	/** As thecal_motor_cancel(). */
	uint32_t (*cancel)(const struct device *dev);
	/** As thecal_motor_arm(). */
	int32_t (*arm)(const struct device *dev, uint32_t hour_steps, uint32_t day_steps);
	/** As thecal_motor_grant(). */
	int32_t (*grant)(const struct device *dev, uint32_t steps, uint32_t within_s);
	/** As thecal_motor_core_save(), now. */
	int32_t (*save)(const struct device *dev, struct thecal_interlock_history *history);
	/** As thecal_motor_core_restore(), now. */
	int32_t (*restore)(const struct device *dev, const struct thecal_interlock_history *history);
	/** As thecal_motor_status(). */
	void (*status)(const struct device *dev, struct thecal_motor_status *status);
	/** As thecal_motor_off(): also with interrupts locked, and on a device that has not started. */
	void (*stop)(const struct device *dev);
	/** Who is told that an order has ended; NULL: nobody. */
	void (*on_order_ended)(const struct device *dev, thecal_motor_order_ended_t callback);
};

/** The motor's driver functions. */
static inline const struct thecal_motor_driver_api *thecal_motor_api(const struct device *dev)
{
	return DEVICE_API_GET(thecal_motor, dev);
}

/** Who is told, from an interrupt, that the chosen motor has ended an order; NULL: nobody. */
void thecal_motor_on_order_ended(thecal_motor_order_ended_t callback);

/** Microseconds since boot, as orders have them. */
uint64_t thecal_motor_now_us(void);

/**
 * Emulated motor only: change what its rotor is like.
 *
 * steps_per_encoder_pulse of the parameters is replaced by the node's.
 */
void thecal_motor_emul_change_rotor(const struct device *dev, const struct thecal_rotor_parameters *parameters);

/** Emulated motor only: steps its rotor has really turned since boot. */
int64_t thecal_motor_emul_position(const struct device *dev);

#ifdef __cplusplus
}
#endif

#endif /* THECAL_ZEPHYR_MOTOR_DRIVER_H */
