/*
 * The emulated motor as a Zephyr device: the core and the rotor that the simulator has too, moved on by a kernel timer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define DT_DRV_COMPAT thecal_peristaltic_pump_emul

#include <zephyr/device.h>
#include <zephyr/irq.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

#include <thecal/motor_emulated.h>
#include <thecal/zephyr/motor_driver.h>

LOG_MODULE_REGISTER(thecal_motor_emul, CONFIG_THECAL_MOTOR_LOG_LEVEL);

/*
 * Interrupts are locked around the object instead of a spinlock: the fatal handler must get in while the interrupted
 * code holds it, and there is one processor.
 */
BUILD_ASSERT(!IS_ENABLED(CONFIG_SMP));

/* What a rotor of this size needs to turn: 2 ms [GK]. A shorter phase-time-us in the node fails as it would in truth. */
#define MINIMUM_PULSE_US 2000u

struct motor_emul_config {
	struct thecal_motor_config bounds;
};

struct motor_emul_data {
	struct thecal_motor_emulated motor;
	struct k_timer timer;
	thecal_motor_order_ended_t order_ended;
	uint32_t orders_ended_told;
};

/* With interrupts locked. */
static void set_timer(struct motor_emul_data *data)
{
	const uint64_t next_us = thecal_motor_emulated_next_event_us(&data->motor);

	if (next_us == THECAL_MOTOR_NEVER_US) {
		k_timer_stop(&data->timer);
	} else {
		/* Rounded up to the tick: what is due is done at its own time, and never before it. */
		k_timer_start(&data->timer, K_TIMEOUT_ABS_TICKS(k_us_to_ticks_ceil64(next_us)), K_NO_WAIT);
	}
}

static void on_timer(struct k_timer *timer)
{
	struct motor_emul_data *data = CONTAINER_OF(timer, struct motor_emul_data, timer);
	thecal_motor_order_ended_t callback = NULL;
	const unsigned int key = irq_lock();

	thecal_motor_emulated_advance_to(&data->motor, thecal_motor_now_us());
	set_timer(data);
	if (data->motor.core.orders_ended != data->orders_ended_told) {
		data->orders_ended_told = data->motor.core.orders_ended;
		callback = data->order_ended;
	}
	irq_unlock(key);
	if (callback != NULL) {
		callback();
	}
}

static int32_t motor_emul_submit(const struct device *dev, const struct thecal_motor_order *order)
{
	struct motor_emul_data *data = dev->data;
	const unsigned int key = irq_lock();
	const int32_t answer = thecal_motor_emulated_submit(&data->motor, thecal_motor_now_us(), order);

	set_timer(data);
	irq_unlock(key);
	return answer;
}

static int32_t motor_emul_arm(const struct device *dev, uint32_t hour_steps, uint32_t day_steps)
{
	struct motor_emul_data *data = dev->data;
	const unsigned int key = irq_lock();
	const int32_t answer =
		thecal_motor_emulated_arm(&data->motor, thecal_motor_now_us(), hour_steps, day_steps);

	set_timer(data);
	irq_unlock(key);
	return answer;
}

static int32_t motor_emul_grant(const struct device *dev, uint32_t steps, uint32_t within_s)
{
	struct motor_emul_data *data = dev->data;
	const unsigned int key = irq_lock();
	const int32_t answer = thecal_motor_emulated_grant(&data->motor, thecal_motor_now_us(), steps, within_s);

	set_timer(data);
	irq_unlock(key);
	return answer;
}

static int32_t motor_emul_save(const struct device *dev, struct thecal_interlock_history *history)
{
	struct motor_emul_data *data = dev->data;
	const unsigned int key = irq_lock();
	const int32_t answer = thecal_motor_core_save(&data->motor.core, thecal_motor_now_us(), history);

	irq_unlock(key);
	return answer;
}

static int32_t motor_emul_restore(const struct device *dev, const struct thecal_interlock_history *history)
{
	struct motor_emul_data *data = dev->data;
	const unsigned int key = irq_lock();
	const int32_t answer = thecal_motor_core_restore(&data->motor.core, thecal_motor_now_us(), history);

	irq_unlock(key);
	return answer;
}

static uint32_t motor_emul_cancel(const struct device *dev)
{
	struct motor_emul_data *data = dev->data;
	const unsigned int key = irq_lock();
	const uint32_t made = thecal_motor_emulated_cancel(&data->motor, thecal_motor_now_us());

	data->orders_ended_told = data->motor.core.orders_ended;
	set_timer(data);
	irq_unlock(key);
	return made;
}

static void motor_emul_status(const struct device *dev, struct thecal_motor_status *status)
{
	struct motor_emul_data *data = dev->data;
	const unsigned int key = irq_lock();

	thecal_motor_emulated_status(&data->motor, thecal_motor_now_us(), status);
	data->orders_ended_told = status->orders_ended;
	set_timer(data);
	irq_unlock(key);
}

static void motor_emul_stop(const struct device *dev)
{
	struct motor_emul_data *data = dev->data;
	const unsigned int key = irq_lock();

	/* Before init() the core is all zeros, which the interlock takes for damage: closed as well. */
	thecal_motor_emulated_off(&data->motor, thecal_motor_now_us());
	irq_unlock(key);
}

static void motor_emul_on_order_ended(const struct device *dev, thecal_motor_order_ended_t callback)
{
	struct motor_emul_data *data = dev->data;
	const unsigned int key = irq_lock();

	data->order_ended = callback;
	irq_unlock(key);
}

void thecal_motor_emul_change_rotor(const struct device *dev, const struct thecal_rotor_parameters *parameters)
{
	const struct motor_emul_config *config = dev->config;
	struct motor_emul_data *data = dev->data;
	struct thecal_rotor_parameters wanted = *parameters;
	const unsigned int key = irq_lock();

	wanted.steps_per_encoder_pulse = config->bounds.steps_per_encoder_pulse;
	thecal_motor_emulated_change_rotor(&data->motor, thecal_motor_now_us(), &wanted);
	set_timer(data);
	irq_unlock(key);
}

int64_t thecal_motor_emul_position(const struct device *dev)
{
	struct motor_emul_data *data = dev->data;
	const unsigned int key = irq_lock();
	int64_t position;

	thecal_motor_emulated_advance_to(&data->motor, thecal_motor_now_us());
	position = thecal_motor_emulated_position(&data->motor);
	irq_unlock(key);
	return position;
}

static int motor_emul_init(const struct device *dev)
{
	const struct motor_emul_config *config = dev->config;
	struct motor_emul_data *data = dev->data;
	const struct thecal_rotor_parameters rotor = {
		.seed = 1u,
		.minimum_pulse_us = MINIMUM_PULSE_US,
		.steps_per_encoder_pulse = config->bounds.steps_per_encoder_pulse,
	};
	int32_t refusal;

	k_timer_init(&data->timer, on_timer, NULL);
	refusal = thecal_motor_emulated_init(&data->motor, &config->bounds, &rotor, thecal_motor_now_us());
	if (refusal != 0) {
		LOG_ERR("the node's bounds contradict each other (%d)", refusal);
	}
	return refusal;
}

static DEVICE_API(thecal_motor, motor_emul_api) = {
	.submit = motor_emul_submit,
	.cancel = motor_emul_cancel,
	.arm = motor_emul_arm,
	.grant = motor_emul_grant,
	.save = motor_emul_save,
	.restore = motor_emul_restore,
	.status = motor_emul_status,
	.stop = motor_emul_stop,
	.on_order_ended = motor_emul_on_order_ended,
};

#define MOTOR_EMUL_DEFINE(instance)                                                                                    \
	static const struct motor_emul_config motor_emul_config_##instance = {                                         \
		.bounds =                                                                                              \
			{                                                                                              \
				.phase_time_us = DT_INST_PROP(instance, phase_time_us),                                \
				.maximum_step_rate = DT_INST_PROP(instance, maximum_step_rate),                        \
				.ceiling_steps = DT_INST_PROP(instance, ceiling_steps),                                \
				.ceiling_window_ms = DT_INST_PROP(instance, ceiling_window_ms),                        \
				.steps_per_encoder_pulse = DT_INST_PROP(instance, steps_per_encoder_pulse),            \
			},                                                                                             \
	};                                                                                                             \
	static struct motor_emul_data motor_emul_data_##instance;                                                      \
	DEVICE_DT_INST_DEFINE(instance, motor_emul_init, NULL, &motor_emul_data_##instance,                            \
			      &motor_emul_config_##instance, POST_KERNEL, CONFIG_KERNEL_INIT_PRIORITY_DEVICE,          \
			      &motor_emul_api);

DT_INST_FOREACH_STATUS_OKAY(MOTOR_EMUL_DEFINE)
