/*
 * The motor on an nRF52: peripherals make, end and count the steps; stepper.c says what to load.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Connections (PPI), made once; none of them needs the processor:
 *
 *   step clock, period over      -> step clock: back to 0
 *   step clock, time of phase A  -> line A high, pulse timer: start           } one group: "begin"
 *   step clock, time of phase B  -> line B high, pulse timer: start           }
 *   pulse timer, pulse over      -> lines A and B low
 *   pulse timer, pulse over      -> pulse timer: off (and to 0), step counter: one more
 *   step counter, last step      -> group "begin" off, step clock: stop
 *
 * The step clock is a real-time counter and not a timer, because it has the kernel's own crystal: the times of orders
 * need no mapping but one subtraction at each load, and nothing runs between pulses but that crystal. A timer would
 * keep the fast oscillator on for years, and without its crystal that one is 1.5 % and more off [GK].
 * The pulse timer runs during pulses only; its oscillator is started by the timer itself.
 *
 * Times: order (us since boot) -> tick of 32,768 Hz (rounded to the nearest, +-15 us) -> ticks from now, at each load.
 * The clock starts up to two ticks after it is told to (61 us). Within a plan, rounding two steps to a tick may add up
 * to 3.8 ms over 500 steps; the next plan begins at its own order's time again (thecal/step_plan.h).
 *
 * The timer is switched off by SHUTDOWN, not STOP: after STOP it keeps drawing current (Nordic's anomaly 78).
 *
 * Not proven on silicon: see docs/motor.md.
 */
#define DT_DRV_COMPAT thecal_peristaltic_pump

#include <errno.h>

#include <hal/nrf_gpio.h>
#include <hal/nrf_qdec.h>
#include <hal/nrf_rtc.h>
#include <hal/nrf_timer.h>
#include <helpers/nrfx_gppi.h>
#include <nrfx_gpiote.h>
#include <nrfx_ppi.h>
#include <soc.h>
#include <zephyr/device.h>
#include <zephyr/irq.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

#include <thecal/zephyr/motor_driver.h>

#include "stepper.h"

LOG_MODULE_REGISTER(thecal_motor_nrf, CONFIG_THECAL_MOTOR_LOG_LEVEL);

#define NODE         DT_DRV_INST(0)
#define CLOCK_NODE   DT_PHANDLE(NODE, step_clock)
#define TIMER_NODE   DT_PHANDLE(NODE, pulse_timer)
#define COUNTER_NODE DT_PHANDLE(NODE, step_counter)
#define DECODER_NODE DT_PHANDLE(NODE, quadrature_decoder)

#define SAME(node, label) DT_SAME_NODE(node, DT_NODELABEL(label))

BUILD_ASSERT(DT_NUM_INST_STATUS_OKAY(DT_DRV_COMPAT) == 1, "one motor");
BUILD_ASSERT(DT_NODE_HAS_COMPAT(CLOCK_NODE, nordic_nrf_rtc), "step-clock is no real-time counter");
BUILD_ASSERT(DT_NODE_HAS_COMPAT(TIMER_NODE, nordic_nrf_timer), "pulse-timer is no timer");
BUILD_ASSERT(DT_NODE_HAS_COMPAT(COUNTER_NODE, nordic_nrf_timer), "step-counter is no timer");
BUILD_ASSERT(DT_NODE_HAS_COMPAT(DECODER_NODE, nordic_nrf_qdec), "quadrature-decoder is none");
BUILD_ASSERT(!DT_SAME_NODE(TIMER_NODE, COUNTER_NODE), "pulse-timer and step-counter are one");
BUILD_ASSERT(!DT_NODE_HAS_STATUS_OKAY(CLOCK_NODE) && !DT_NODE_HAS_STATUS_OKAY(TIMER_NODE) &&
		     !DT_NODE_HAS_STATUS_OKAY(COUNTER_NODE) && !DT_NODE_HAS_STATUS_OKAY(DECODER_NODE),
	     "a peripheral of the motor is also given to a driver of Zephyr's");
BUILD_ASSERT(!SAME(CLOCK_NODE, rtc0) && !SAME(CLOCK_NODE, rtc1), "RTC0 is Bluetooth's, RTC1 the kernel's");
/* subsys/bluetooth/controller/ll_sw/nordic/hal/nrf5/radio/radio_nrf5_resources.h */
BUILD_ASSERT(!SAME(TIMER_NODE, timer0) && !SAME(TIMER_NODE, timer1) && !SAME(COUNTER_NODE, timer0) &&
		     !SAME(COUNTER_NODE, timer1),
	     "TIMER0 and TIMER1 are Bluetooth's");
#if defined(CONFIG_BT_CTLR_SW_SWITCH_SINGLE_TIMER)
BUILD_ASSERT(!SAME(TIMER_NODE, timer4) && !SAME(COUNTER_NODE, timer4), "TIMER4 is Bluetooth's");
#endif
BUILD_ASSERT(DT_PROP_LEN(NODE, phase_gpios) == 2 && DT_PROP_LEN(NODE, encoder_gpios) == 2, "two lines each");
BUILD_ASSERT(((DT_GPIO_FLAGS_BY_IDX(NODE, phase_gpios, 0) | DT_GPIO_FLAGS_BY_IDX(NODE, phase_gpios, 1)) &
	      GPIO_ACTIVE_LOW) == 0,
	     "phases are active high: the lines are low when nobody drives them");
BUILD_ASSERT(CONFIG_SYS_CLOCK_TICKS_PER_SEC == THECAL_STEP_PLAN_TICKS_PER_SECOND,
	     "the step clock and the kernel count the same ticks");
BUILD_ASSERT(!IS_ENABLED(CONFIG_SMP));
/* What Bluetooth and the like leave, seen before anything runs. */
#define CHANNELS_NEEDED 6
BUILD_ASSERT(__builtin_popcount(NRFX_PPI_PROG_APP_CHANNELS_MASK) >= CHANNELS_NEEDED, "too few PPI channels left");
BUILD_ASSERT(__builtin_popcount(NRFX_PPI_ALL_APP_GROUPS_MASK) >= 1, "no PPI group left");

static NRF_RTC_Type *const step_clock = (NRF_RTC_Type *)DT_REG_ADDR(CLOCK_NODE);
static NRF_TIMER_Type *const pulse_timer = (NRF_TIMER_Type *)DT_REG_ADDR(TIMER_NODE);
static NRF_TIMER_Type *const step_counter = (NRF_TIMER_Type *)DT_REG_ADDR(COUNTER_NODE);
static NRF_QDEC_Type *const decoder = (NRF_QDEC_Type *)DT_REG_ADDR(DECODER_NODE);

static const nrfx_gpiote_t gpiote = NRFX_GPIOTE_INSTANCE(NRF_DT_GPIOTE_INST_BY_IDX(NODE, phase_gpios, 0));
BUILD_ASSERT(NRF_DT_GPIOTE_INST_BY_IDX(NODE, phase_gpios, 0) == NRF_DT_GPIOTE_INST_BY_IDX(NODE, phase_gpios, 1));

static const uint32_t phase_pins[2] = {
	NRF_DT_GPIOS_TO_PSEL_BY_IDX(NODE, phase_gpios, 0),
	NRF_DT_GPIOS_TO_PSEL_BY_IDX(NODE, phase_gpios, 1),
};
static const uint32_t encoder_pins[2] = {
	NRF_DT_GPIOS_TO_PSEL_BY_IDX(NODE, encoder_gpios, 0),
	NRF_DT_GPIOS_TO_PSEL_BY_IDX(NODE, encoder_gpios, 1),
};

/* Compare registers of the step clock. */
#define CLOCK_PERIOD  0
#define CLOCK_PHASE_A 1
#define CLOCK_PHASE_B 2
/* ... of the step counter; the last one is where its count is read. */
#define COUNTER_STOP      0
#define COUNTER_INTERRUPT 1
#define COUNTER_READ      2
/* ... of the pulse timer. */
#define TIMER_END 0
BUILD_ASSERT(DT_PROP(CLOCK_NODE, cc_num) > CLOCK_PHASE_B);
BUILD_ASSERT(DT_PROP(COUNTER_NODE, cc_num) > COUNTER_READ);

/* 16 MHz / 2^4 = 1 MHz. */
#define TIMER_PRESCALER 4u

static const struct thecal_motor_config bounds = {
	.phase_time_us = DT_PROP(NODE, phase_time_us),
	.maximum_step_rate = DT_PROP(NODE, maximum_step_rate),
	.ceiling_steps = DT_PROP(NODE, ceiling_steps),
	.ceiling_window_ms = DT_PROP(NODE, ceiling_window_ms),
	.steps_per_encoder_pulse = DT_PROP(NODE, steps_per_encoder_pulse),
};

/* There is one motor, and the fatal handler comes here without asking: plain objects, no device data. */
static struct thecal_stepper stepper;
static struct k_timer wake_timer;
static thecal_motor_order_ended_t order_ended;
static uint32_t orders_ended_told;
static int64_t counted_pulses;
static nrfx_gppi_channel_group_t begin_group;
/* Everything is connected: off() has more to do than to hold the lines low. */
static bool connected;

/* ---- What stepper.c asks of the hardware ---- */

static uint64_t hardware_now_tick(void)
{
	return (uint64_t)k_uptime_ticks();
}

static void hardware_begin(const struct thecal_stepper_load *load)
{
	const bool a_first = load->first_phase == THECAL_MOTOR_PHASE_A;
	const uint32_t first = load->wait_ticks;
	const uint32_t second = load->wait_ticks + load->pair_ticks / 2u;

	nrf_rtc_cc_set(step_clock, CLOCK_PHASE_A, a_first ? first : second);
	nrf_rtc_cc_set(step_clock, CLOCK_PHASE_B, a_first ? second : first);
	/* Back at 0 one tick after this count is reached (as drivers/pwm/pwm_nrf_sw.c of Zephyr has it). */
	nrf_rtc_cc_set(step_clock, CLOCK_PERIOD, load->pair_ticks - 1u);

	nrf_timer_cc_set(pulse_timer, (nrf_timer_cc_channel_t)TIMER_END, load->pulse_us);

	nrf_timer_task_trigger(step_counter, NRF_TIMER_TASK_CLEAR);
	nrf_timer_cc_set(step_counter, COUNTER_STOP, load->stop_at);
	nrf_timer_cc_set(step_counter, COUNTER_INTERRUPT, load->interrupt_at);
	nrf_timer_event_clear(step_counter, nrf_timer_compare_event_get(COUNTER_STOP));
	nrf_timer_event_clear(step_counter, nrf_timer_compare_event_get(COUNTER_INTERRUPT));

	nrfx_gppi_group_enable(begin_group);
	nrf_rtc_task_trigger(step_clock, NRF_RTC_TASK_START);
}

static void hardware_extend(uint32_t stop_at, uint32_t interrupt_at)
{
	/* The end first: it only moves away, so whatever is reached in between was meant. */
	nrf_timer_cc_set(step_counter, COUNTER_STOP, stop_at);
	nrf_timer_cc_set(step_counter, COUNTER_INTERRUPT, interrupt_at);
}

static void hardware_halt(void)
{
	nrfx_gppi_group_disable(begin_group);
	nrf_rtc_task_trigger(step_clock, NRF_RTC_TASK_STOP);
	nrf_rtc_task_trigger(step_clock, NRF_RTC_TASK_CLEAR);
}

static uint32_t hardware_pulses_ended(void)
{
	nrf_timer_task_trigger(step_counter, nrf_timer_capture_task_get(COUNTER_READ));
	return nrf_timer_cc_get(step_counter, (nrf_timer_cc_channel_t)COUNTER_READ);
}

static bool hardware_pulse_active(void)
{
	/* The lines themselves: their input buffers are on. */
	return nrf_gpio_pin_read(phase_pins[0]) != 0u || nrf_gpio_pin_read(phase_pins[1]) != 0u;
}

static void hardware_wake_at(uint64_t tick)
{
	k_timer_start(&wake_timer, K_TIMEOUT_ABS_TICKS((k_ticks_t)tick), K_NO_WAIT);
}

static void hardware_wake_never(void)
{
	k_timer_stop(&wake_timer);
}

static const struct thecal_stepper_hardware hardware = {
	.now_tick = hardware_now_tick,
	.begin = hardware_begin,
	.extend = hardware_extend,
	.halt = hardware_halt,
	.pulses_ended = hardware_pulses_ended,
	.pulse_active = hardware_pulse_active,
	.wake_at = hardware_wake_at,
	.wake_never = hardware_wake_never,
};

/* ---- Interrupts ---- */

/* With interrupts locked. Reading it at least once an order keeps its 11 bits from saturating. */
static void read_decoder(void)
{
	nrf_qdec_task_trigger(decoder, NRF_QDEC_TASK_READCLRACC);
	counted_pulses += nrf_qdec_accread_get(decoder);
	if (nrf_qdec_accdblread_get(decoder) != 0u) {
		stepper.core.faults |= THECAL_MOTOR_FAULT_ENCODER;
	}
	if (nrf_qdec_event_check(decoder, NRF_QDEC_EVENT_ACCOF)) {
		nrf_qdec_event_clear(decoder, NRF_QDEC_EVENT_ACCOF);
		stepper.core.faults |= THECAL_MOTOR_FAULT_ENCODER_FULL;
	}
}

static void tell_of_ended_orders(unsigned int key)
{
	thecal_motor_order_ended_t callback = NULL;

	if (stepper.core.orders_ended != orders_ended_told) {
		orders_ended_told = stepper.core.orders_ended;
		callback = order_ended;
	}
	irq_unlock(key);
	if (callback != NULL) {
		callback();
	}
}

static void on_counter(const void *unused)
{
	const unsigned int key = irq_lock();

	ARG_UNUSED(unused);
	nrf_timer_event_clear(step_counter, nrf_timer_compare_event_get(COUNTER_STOP));
	nrf_timer_event_clear(step_counter, nrf_timer_compare_event_get(COUNTER_INTERRUPT));
	read_decoder();
	thecal_stepper_interrupt(&stepper);
	tell_of_ended_orders(key);
}

static void on_wake(struct k_timer *timer)
{
	const unsigned int key = irq_lock();

	ARG_UNUSED(timer);
	thecal_stepper_wake(&stepper);
	/* The interlock may have dropped orders. */
	tell_of_ended_orders(key);
}

/* ---- Driver API ---- */

static int32_t motor_nrf_submit(const struct device *dev, const struct thecal_motor_order *order)
{
	const unsigned int key = irq_lock();
	const int32_t answer = thecal_stepper_submit(&stepper, order);

	ARG_UNUSED(dev);
	irq_unlock(key);
	return answer;
}

static int32_t motor_nrf_arm(const struct device *dev, uint32_t hour_steps, uint32_t day_steps)
{
	const unsigned int key = irq_lock();
	const int32_t answer = thecal_stepper_arm(&stepper, hour_steps, day_steps);

	ARG_UNUSED(dev);
	irq_unlock(key);
	return answer;
}

static int32_t motor_nrf_grant(const struct device *dev, uint32_t steps, uint32_t within_s)
{
	const unsigned int key = irq_lock();
	const int32_t answer = thecal_stepper_grant(&stepper, steps, within_s);

	ARG_UNUSED(dev);
	irq_unlock(key);
	return answer;
}

static int32_t motor_nrf_save(const struct device *dev, struct thecal_interlock_history *history)
{
	const unsigned int key = irq_lock();
	const int32_t answer = thecal_stepper_save(&stepper, history);

	ARG_UNUSED(dev);
	irq_unlock(key);
	return answer;
}

static int32_t motor_nrf_restore(const struct device *dev, const struct thecal_interlock_history *history)
{
	const unsigned int key = irq_lock();
	const int32_t answer = thecal_stepper_restore(&stepper, history);

	ARG_UNUSED(dev);
	irq_unlock(key);
	return answer;
}

static uint32_t motor_nrf_cancel(const struct device *dev)
{
	const unsigned int key = irq_lock();
	const uint32_t made = thecal_stepper_cancel(&stepper);

	ARG_UNUSED(dev);
	orders_ended_told = stepper.core.orders_ended;
	irq_unlock(key);
	return made;
}

static void motor_nrf_status(const struct device *dev, struct thecal_motor_status *status)
{
	const unsigned int key = irq_lock();

	ARG_UNUSED(dev);
	read_decoder();
	thecal_stepper_status(&stepper, status);
	status->counted_pulses = counted_pulses;
	orders_ended_told = status->orders_ended;
	irq_unlock(key);
}

static void motor_nrf_stop(const struct device *dev)
{
	const unsigned int key = irq_lock();

	ARG_UNUSED(dev);
	if (connected) {
		bool cut;

		/* Lines first, by the shortest way: whatever else is wrong, no current. */
		nrfx_gppi_group_disable(begin_group);
		cut = hardware_pulse_active();
		for (size_t phase = 0u; phase < ARRAY_SIZE(phase_pins); phase++) {
			nrfx_gpiote_clr_task_trigger(&gpiote, phase_pins[phase]);
		}
		nrf_timer_task_trigger(pulse_timer, NRF_TIMER_TASK_SHUTDOWN);
		if (cut) {
			/* Begun is commanded, whether it turned the rotor or not. */
			nrf_timer_task_trigger(step_counter, NRF_TIMER_TASK_COUNT);
		}
		thecal_stepper_off(&stepper);
	} else {
		for (size_t phase = 0u; phase < ARRAY_SIZE(phase_pins); phase++) {
			nrf_gpio_pin_clear(phase_pins[phase]);
			nrf_gpio_cfg_output(phase_pins[phase]);
		}
	}
	irq_unlock(key);
}

static void motor_nrf_on_order_ended(const struct device *dev, thecal_motor_order_ended_t callback)
{
	const unsigned int key = irq_lock();

	ARG_UNUSED(dev);
	order_ended = callback;
	irq_unlock(key);
}

static DEVICE_API(thecal_motor, motor_nrf_api) = {
	.submit = motor_nrf_submit,
	.cancel = motor_nrf_cancel,
	.arm = motor_nrf_arm,
	.grant = motor_nrf_grant,
	.save = motor_nrf_save,
	.restore = motor_nrf_restore,
	.status = motor_nrf_status,
	.stop = motor_nrf_stop,
	.on_order_ended = motor_nrf_on_order_ended,
};

/* ---- Start ---- */

/* Lines A and B: low, driven by tasks, and readable. */
static int prepare_phases(void)
{
	static const nrfx_gpiote_output_config_t output = {
		.drive = NRF_GPIO_PIN_S0S1,
		.input_connect = NRF_GPIO_PIN_INPUT_CONNECT,
		.pull = NRF_GPIO_PIN_NOPULL,
	};

	if (!nrfx_gpiote_init_check(&gpiote)) {
		/* The GPIO driver does it, and comes first. */
		return -ENODEV;
	}
	for (size_t phase = 0u; phase < ARRAY_SIZE(phase_pins); phase++) {
		nrfx_gpiote_task_config_t task = {
			.polarity = NRF_GPIOTE_POLARITY_TOGGLE,
			.init_val = NRF_GPIOTE_INITIAL_VALUE_LOW,
		};

		nrf_gpio_pin_clear(phase_pins[phase]);
		if (nrfx_gpiote_channel_alloc(&gpiote, &task.task_ch) != NRFX_SUCCESS ||
		    nrfx_gpiote_output_configure(&gpiote, phase_pins[phase], &output, &task) != NRFX_SUCCESS) {
			return -EBUSY;
		}
		nrfx_gpiote_out_task_enable(&gpiote, phase_pins[phase]);
	}
	return 0;
}

static void prepare_clock(void)
{
	nrf_rtc_task_trigger(step_clock, NRF_RTC_TASK_STOP);
	nrf_rtc_task_trigger(step_clock, NRF_RTC_TASK_CLEAR);
	nrf_rtc_prescaler_set(step_clock, 0u);
	/* Routed to PPI; not one of them interrupts. */
	nrf_rtc_event_enable(step_clock, NRF_RTC_INT_COMPARE0_MASK | NRF_RTC_INT_COMPARE1_MASK |
						 NRF_RTC_INT_COMPARE2_MASK);
}

static void prepare_timers(void)
{
	nrf_timer_task_trigger(pulse_timer, NRF_TIMER_TASK_SHUTDOWN);
	nrf_timer_mode_set(pulse_timer, NRF_TIMER_MODE_TIMER);
	nrf_timer_bit_width_set(pulse_timer, NRF_TIMER_BIT_WIDTH_32);
	nrf_timer_prescaler_set(pulse_timer, TIMER_PRESCALER);
	nrf_timer_cc_set(pulse_timer, (nrf_timer_cc_channel_t)TIMER_END, bounds.phase_time_us);

	nrf_timer_task_trigger(step_counter, NRF_TIMER_TASK_SHUTDOWN);
	nrf_timer_mode_set(step_counter, NRF_TIMER_MODE_LOW_POWER_COUNTER);
	nrf_timer_bit_width_set(step_counter, NRF_TIMER_BIT_WIDTH_32);
	nrf_timer_task_trigger(step_counter, NRF_TIMER_TASK_CLEAR);
	nrf_timer_task_trigger(step_counter, NRF_TIMER_TASK_START);
	nrf_timer_int_enable(step_counter, (uint32_t)nrf_timer_compare_int_get(COUNTER_STOP) |
						   (uint32_t)nrf_timer_compare_int_get(COUNTER_INTERRUPT));
}

static void prepare_decoder(void)
{
	for (size_t line = 0u; line < ARRAY_SIZE(encoder_pins); line++) {
		nrf_gpio_cfg_input(encoder_pins[line], NRF_GPIO_PIN_NOPULL);
	}
	nrf_qdec_pins_set(decoder, encoder_pins[0], encoder_pins[1], NRF_QDEC_PIN_NOT_CONNECTED);
	/* Five looks at least between two steps at the highest rate (5 ms). */
	nrf_qdec_sampleper_set(decoder, NRF_QDEC_SAMPLEPER_1024US);
	nrf_qdec_dbfen_disable(decoder);
	nrf_qdec_event_clear(decoder, NRF_QDEC_EVENT_ACCOF);
	nrf_qdec_enable(decoder);
	nrf_qdec_task_trigger(decoder, NRF_QDEC_TASK_START);
}

static uint32_t clock_event(uint32_t compare)
{
	return nrf_rtc_event_address_get(step_clock, nrf_rtc_compare_event_get((uint8_t)compare));
}

static uint32_t pulse_over(void)
{
	return nrf_timer_event_address_get(pulse_timer, nrf_timer_compare_event_get(TIMER_END));
}

static int connect_peripherals(void)
{
	/* As at the top of this file; fork 0: none. */
	const struct {
		uint32_t event;
		uint32_t task;
		uint32_t fork;
	} wanted[] = {
		{clock_event(CLOCK_PHASE_A), nrfx_gpiote_set_task_address_get(&gpiote, phase_pins[0]),
		 nrf_timer_task_address_get(pulse_timer, NRF_TIMER_TASK_START)},
		{clock_event(CLOCK_PHASE_B), nrfx_gpiote_set_task_address_get(&gpiote, phase_pins[1]),
		 nrf_timer_task_address_get(pulse_timer, NRF_TIMER_TASK_START)},
		{clock_event(CLOCK_PERIOD), nrf_rtc_task_address_get(step_clock, NRF_RTC_TASK_CLEAR), 0u},
		{pulse_over(), nrfx_gpiote_clr_task_address_get(&gpiote, phase_pins[0]),
		 nrfx_gpiote_clr_task_address_get(&gpiote, phase_pins[1])},
		{pulse_over(), nrf_timer_task_address_get(pulse_timer, NRF_TIMER_TASK_SHUTDOWN),
		 nrf_timer_task_address_get(step_counter, NRF_TIMER_TASK_COUNT)},
		{nrf_timer_event_address_get(step_counter, nrf_timer_compare_event_get(COUNTER_STOP)), 0u,
		 nrf_rtc_task_address_get(step_clock, NRF_RTC_TASK_STOP)},
	};
	BUILD_ASSERT(ARRAY_SIZE(wanted) == CHANNELS_NEEDED);
	uint32_t begin_channels = 0u;
	uint32_t other_channels = 0u;

	/* The allocators keep out what the Bluetooth controller has for itself (nrfx_reserved_resources.h). */
	if (nrfx_gppi_group_alloc(&begin_group) != NRFX_SUCCESS) {
		return -EBUSY;
	}
	for (size_t index = 0u; index < ARRAY_SIZE(wanted); index++) {
		uint32_t task = wanted[index].task;
		uint8_t channel;

		if (nrfx_gppi_channel_alloc(&channel) != NRFX_SUCCESS) {
			return -EBUSY;
		}
		if (task == 0u) {
			task = nrfx_gppi_task_address_get(nrfx_gppi_group_disable_task_get(begin_group));
		}
		nrfx_gppi_channel_endpoints_setup(channel, wanted[index].event, task);
		if (wanted[index].fork != 0u) {
			nrfx_gppi_fork_endpoint_setup(channel, wanted[index].fork);
		}
		/* The first two begin pulses. */
		if (index < 2u) {
			begin_channels |= BIT(channel);
		} else {
			other_channels |= BIT(channel);
		}
	}
	nrfx_gppi_group_disable(begin_group);
	nrfx_gppi_channels_include_in_group(begin_channels, begin_group);
	nrfx_gppi_channels_enable(other_channels);
	return 0;
}

static int motor_nrf_init(const struct device *dev)
{
	int failure;

	ARG_UNUSED(dev);
	k_timer_init(&wake_timer, on_wake, NULL);
	prepare_clock();
	prepare_timers();
	prepare_decoder();
	failure = prepare_phases();
	if (failure == 0) {
		failure = connect_peripherals();
	}
	if (failure == 0) {
		failure = thecal_stepper_init(&stepper, &hardware, &bounds);
		if (failure != 0) {
			LOG_ERR("the node's bounds contradict each other (%d)", failure);
		}
	} else {
		LOG_ERR("no GPIOTE or PPI channel left (%d)", failure);
	}
	if (failure != 0) {
		return failure;
	}
	connected = true;
	IRQ_CONNECT(DT_IRQN(COUNTER_NODE), DT_IRQ(COUNTER_NODE, priority), on_counter, NULL, 0);
	irq_enable(DT_IRQN(COUNTER_NODE));
	return 0;
}

DEVICE_DT_INST_DEFINE(0, motor_nrf_init, NULL, NULL, NULL, POST_KERNEL, CONFIG_KERNEL_INIT_PRIORITY_DEVICE,
		      &motor_nrf_api);
