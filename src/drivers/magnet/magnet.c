/*
 * The magnet: the switch of the device tree's chosen thecal,magnet.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An edge of the pin starts a timer, and each further one starts it anew; when the pin has rested, it is read. So nothing polls, and a switch
 * that bounces or a hand that trembles is one change.
 */
#include <thecal/magnet.h>

#include <errno.h>

#include <zephyr/devicetree.h>
#include <zephyr/drivers/gpio.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/util.h>

#define MAGNET DT_CHOSEN(thecal_magnet)

#if !DT_NODE_EXISTS(MAGNET)
#error "The device tree has no chosen thecal,magnet."
#endif

BUILD_ASSERT(DT_PROP(MAGNET, settle_time_ms) > 0, "a change has to last");

static const struct gpio_dt_spec pin = GPIO_DT_SPEC_GET(MAGNET, gpios);

static thecal_magnet_changed tell;
/* What was told last; of the timer alone. */
static bool told;

static void rested(struct k_timer *timer)
{
	const int state = gpio_pin_get_dt(&pin);

	ARG_UNUSED(timer);
	/* Negative: it cannot be read, and nothing is known. */
	if (state < 0 || told == (state != 0)) {
		return;
	}
	told = state != 0;
	tell(told);
}

static K_TIMER_DEFINE(settling, rested, NULL);

static void edge(const struct device *port, struct gpio_callback *callback, gpio_port_pins_t pins)
{
	ARG_UNUSED(port);
	ARG_UNUSED(callback);
	ARG_UNUSED(pins);
	k_timer_start(&settling, K_MSEC(DT_PROP(MAGNET, settle_time_ms)), K_NO_WAIT);
}

int32_t thecal_magnet_start(thecal_magnet_changed changed)
{
	static struct gpio_callback callback;
	int result;

	if (tell != NULL) {
		return -EALREADY;
	}
	if (!gpio_is_ready_dt(&pin)) {
		return -ENODEV;
	}
	tell = changed;
	gpio_init_callback(&callback, edge, BIT(pin.pin));
	result = gpio_pin_configure_dt(&pin, GPIO_INPUT);
	if (result == 0) {
		result = gpio_add_callback_dt(&pin, &callback);
	}
	if (result == 0) {
		result = gpio_pin_interrupt_configure_dt(&pin, GPIO_INT_EDGE_BOTH);
	}
	if (result != 0) {
		return result;
	}
	/* As if there had been an edge: a magnet may be there already. */
	edge(pin.port, &callback, BIT(pin.pin));
	return 0;
}
