/*
 * Breaking the firmware on purpose, from the command line of native_sim.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <thecal/fault.h>
#include <thecal/system.h>

#include <stdbool.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/sys/util.h>

#include "cmdline.h"
#include "soc.h"

static const char *kind;
static uint32_t after_seconds;
static bool happened;

static void wake(struct k_timer *timer)
{
	ARG_UNUSED(timer);
	thecal_system_wake();
}

static K_TIMER_DEFINE(fault_timer, wake, NULL);

uint32_t thecal_fault_due(void)
{
	if (kind == NULL || happened) {
		return THECAL_FAULT_NONE;
	}
	if (thecal_system_uptime_us() < 1000000ULL * after_seconds) {
		if (k_timer_remaining_ticks(&fault_timer) == 0) {
			k_timer_start(&fault_timer, K_TIMEOUT_ABS_MS(1000ULL * after_seconds), K_NO_WAIT);
		}
		return THECAL_FAULT_NONE;
	}
	happened = true;
	if (strcmp(kind, "overflow") == 0) {
		return THECAL_FAULT_OVERFLOW;
	}
	if (strcmp(kind, "assert") == 0) {
		return THECAL_FAULT_ASSERT;
	}
	if (strcmp(kind, "return") == 0) {
		return THECAL_FAULT_RETURN;
	}
	printk("thecal: --fault=%s is none of overflow, assert, return\n", kind);
	return THECAL_FAULT_NONE;
}

void thecal_fault_assert(void)
{
	__ASSERT(false, "asked for by --fault=assert");
}

static void add_options(void)
{
	static struct args_struct_t options[] = {
		{
			.option = "fault",
			.name = "kind",
			.type = 's',
			.dest = (void *)&kind,
			.descript = "Break the firmware: overflow, assert or return",
		},
		{
			.option = "fault-after",
			.name = "seconds",
			.type = 'u',
			.dest = (void *)&after_seconds,
			.descript = "When, in seconds of simulated time since boot (default 0)",
		},
		ARG_TABLE_ENDMARKER,
	};

	native_add_command_line_opts(options);
}

NATIVE_TASK(add_options, PRE_BOOT_1, 2);
