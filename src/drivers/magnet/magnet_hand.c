/*
 * A hand with a magnet, on native_sim: --magnet-at=SECONDS[,SECONDS...] of the command line.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * It moves the emulated pin and nothing else: the driver sees what a board's would.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <zephyr/devicetree.h>
#include <zephyr/drivers/gpio.h>
#include <zephyr/drivers/gpio/gpio_emul.h>
#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/util.h>

#include "cmdline.h"
#include "posix_board_if.h"
#include "soc.h"

/* A second longer than presence asks for. */
#define HOLD_MS 4000

static const struct gpio_dt_spec pin = GPIO_DT_SPEC_GET(DT_CHOSEN(thecal_magnet), gpios);

/* What is left of --magnet-at. */
static const char *times;
static bool held;

static void move(struct k_timer *timer);

static K_TIMER_DEFINE(hand, move, NULL);

/* Waits for the next of the times, if there is one. */
static void wait_for_next(void)
{
	char *end;
	unsigned long seconds;

	if (*times == '\0') {
		return;
	}
	seconds = strtoul(times, &end, 10);
	if (end == times || (*end != '\0' && *end != ',')) {
		posix_print_warning("thecal: --magnet-at: no seconds: %s\n", times);
		return;
	}
	times = *end == ',' ? end + 1 : end;
	k_timer_start(&hand, K_TIMEOUT_ABS_MS(1000ULL * seconds), K_NO_WAIT);
}

static void move(struct k_timer *timer)
{
	ARG_UNUSED(timer);
	held = !held;
	(void)gpio_emul_input_set(pin.port, pin.pin, held != ((pin.dt_flags & GPIO_ACTIVE_LOW) != 0));
	if (held) {
		k_timer_start(&hand, K_MSEC(HOLD_MS), K_NO_WAIT);
	} else {
		wait_for_next();
	}
}

static int start_hand(void)
{
	if (times != NULL) {
		/* The emulated pin can be moved when it is an input, and the driver may make it one later than the hand comes. */
		(void)gpio_pin_configure_dt(&pin, GPIO_INPUT);
		wait_for_next();
	}
	return 0;
}

SYS_INIT(start_hand, APPLICATION, CONFIG_APPLICATION_INIT_PRIORITY);

static void add_options(void)
{
	static struct args_struct_t options[] = {
		{
			.option = "magnet-at",
			.name = "seconds,seconds,...",
			.type = 's',
			.dest = (void *)&times,
			.descript = "Hold a magnet to the pump at these seconds of simulated time since boot, for 4 s each",
		},
		ARG_TABLE_ENDMARKER,
	};

	native_add_command_line_opts(options);
}

NATIVE_TASK(add_options, PRE_BOOT_1, 2);
