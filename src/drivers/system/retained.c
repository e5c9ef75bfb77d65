/*
 * Where the retained words are: the device tree's chosen thecal,retained.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * On a board that is a piece of RAM which neither this image nor the boot loader uses, so that it keeps its content over a reset. On
 * native_sim, where a reset is a new process, it is a partition of the simulated flash, which is the flash file in memory: written
 * without the flash driver, because a fatal error may have happened inside it.
 */
#include "retained.h"

#include <stddef.h>

#include <zephyr/devicetree.h>
#include <zephyr/sys/util.h>

#define RETAINED DT_CHOSEN(thecal_retained)

#if !DT_NODE_EXISTS(RETAINED)

volatile struct thecal_retained *thecal_retained(void)
{
	return NULL;
}

#elif DT_NODE_HAS_COMPAT(RETAINED, mmio_sram)

BUILD_ASSERT(DT_REG_SIZE(RETAINED) >= sizeof(struct thecal_retained), "thecal,retained is too small");

volatile struct thecal_retained *thecal_retained(void)
{
	return (volatile struct thecal_retained *)DT_REG_ADDR(RETAINED);
}

#else

#include <zephyr/device.h>
#include <zephyr/drivers/flash/flash_simulator.h>

#define CONTROLLER DT_GPARENT(DT_PARENT(RETAINED))

BUILD_ASSERT(DT_REG_SIZE(RETAINED) >= sizeof(struct thecal_retained), "thecal,retained is too small");

volatile struct thecal_retained *thecal_retained(void)
{
	const struct device *const flash = DEVICE_DT_GET(CONTROLLER);
	size_t size = 0;
	uint8_t *memory;

	if (!device_is_ready(flash)) {
		return NULL;
	}
	memory = flash_simulator_get_memory(flash, &size);
	if (memory == NULL || size < DT_REG_ADDR(RETAINED) + DT_REG_SIZE(RETAINED)) {
		return NULL;
	}
	return (volatile struct thecal_retained *)&memory[DT_REG_ADDR(RETAINED)];
}

#endif
