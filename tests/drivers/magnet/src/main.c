/*
 * The magnet: what has lasted is told, once, and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>

#include <zephyr/drivers/gpio.h>
#include <zephyr/drivers/gpio/gpio_emul.h>
#include <zephyr/kernel.h>
#include <zephyr/ztest.h>

#include <thecal/magnet.h>

#define SETTLE_MS DT_PROP(DT_CHOSEN(thecal_magnet), settle_time_ms)

static const struct gpio_dt_spec pin = GPIO_DT_SPEC_GET(DT_CHOSEN(thecal_magnet), gpios);

static uint32_t changes;
static bool held;

static void changed(bool now)
{
	zassert_true(k_is_in_isr());
	zassert_not_equal(now, held, "told twice");
	held = now;
	changes++;
}

/* The switch closes to ground. */
static void hold(bool magnet)
{
	zassert_ok(gpio_emul_input_set(pin.port, pin.pin, magnet ? 0 : 1));
}

static void *start(void)
{
	zassert_ok(thecal_magnet_start(changed));
	k_msleep(2 * SETTLE_MS);
	zassert_equal(changes, 0, "the pull resistor says that nothing is there");
	zassert_equal(thecal_magnet_start(changed), -EALREADY);
	return NULL;
}

static void away(void *fixture)
{
	ARG_UNUSED(fixture);
	hold(false);
	k_msleep(2 * SETTLE_MS);
	zassert_false(held);
	changes = 0;
}

ZTEST_SUITE(magnet, NULL, start, away, NULL, NULL);

ZTEST(magnet, test_it_comes_and_goes)
{
	hold(true);
	zassert_equal(changes, 0, "before it has settled");
	k_msleep(SETTLE_MS + 1);
	zassert_true(held);
	zassert_equal(changes, 1);
	k_msleep(1000);
	zassert_equal(changes, 1);
	hold(false);
	k_msleep(SETTLE_MS + 1);
	zassert_false(held);
	zassert_equal(changes, 2);
}

ZTEST(magnet, test_a_bouncing_contact_is_one_change)
{
	for (uint32_t bounce = 0; bounce < 9; bounce++) {
		hold(bounce % 2 == 0);
		k_msleep(SETTLE_MS - 1);
	}
	zassert_equal(changes, 0, "it has not rested yet");
	k_msleep(2);
	zassert_true(held);
	zassert_equal(changes, 1);
}

ZTEST(magnet, test_what_does_not_last_is_nothing)
{
	hold(true);
	k_msleep(SETTLE_MS / 2);
	hold(false);
	k_msleep(3 * SETTLE_MS);
	zassert_equal(changes, 0);
}
