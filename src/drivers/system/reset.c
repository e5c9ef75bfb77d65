/*
 * Why the processor started, and how it is reset.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <thecal/system.h>

#include "retained.h"

#include <stdbool.h>
#include <stddef.h>

#include <zephyr/kernel.h>
#include <zephyr/sys/crc.h>

#ifdef CONFIG_HWINFO
#include <zephyr/drivers/hwinfo.h>
#endif

#ifdef CONFIG_ARCH_POSIX
#include <posix_board_if.h>
#else
#include <zephyr/sys/reboot.h>
#endif

static uint32_t crc_of(const struct thecal_retained_fatal *fatal)
{
	return crc32_ieee((const uint8_t *)fatal, offsetof(struct thecal_retained_fatal, crc));
}

/* Where a fatal error is kept, or NULL. */
static volatile struct thecal_retained_fatal *kept_fatal(void)
{
	volatile struct thecal_retained_memory *const memory = thecal_retained_memory();

	return memory == NULL ? NULL : &memory->fatal;
}

void thecal_system_retain_fatal(uint32_t reason, uint32_t program_counter)
{
	volatile struct thecal_retained_fatal *const kept = kept_fatal();
	const struct thecal_retained_fatal fatal = {
		.magic = THECAL_RETAINED_FATAL_MAGIC,
		.reason = reason,
		.program_counter = program_counter,
	};

	if (kept == NULL) {
		return;
	}
	kept->magic = fatal.magic;
	kept->reason = fatal.reason;
	kept->program_counter = fatal.program_counter;
	kept->crc = crc_of(&fatal);
}

/* Whether a fatal error was retained; takes it out. */
static bool take_fatal(struct thecal_reset *reset)
{
	volatile struct thecal_retained_fatal *const kept = kept_fatal();
	struct thecal_retained_fatal copy;

	if (kept == NULL) {
		return false;
	}
	copy.magic = kept->magic;
	copy.reason = kept->reason;
	copy.program_counter = kept->program_counter;
	copy.crc = kept->crc;
	kept->magic = 0;
	if (copy.magic != THECAL_RETAINED_FATAL_MAGIC || copy.crc != crc_of(&copy)) {
		return false;
	}
	reset->cause = THECAL_RESET_FATAL;
	reset->reason = copy.reason;
	reset->program_counter = copy.program_counter;
	return true;
}

static uint32_t hardware_cause(void)
{
#ifdef CONFIG_HWINFO
	uint32_t flags = 0;

	if (hwinfo_get_reset_cause(&flags) != 0) {
		return THECAL_RESET_POWER_ON;
	}
	/* The flags add up until they are cleared. */
	(void)hwinfo_clear_reset_cause();
	/* The worst first: an older flag must not hide it. */
	if ((flags & RESET_WATCHDOG) != 0) {
		return THECAL_RESET_WATCHDOG;
	}
	if ((flags & RESET_CPU_LOCKUP) != 0) {
		/* A fault within a fault: nothing could be retained. */
		return THECAL_RESET_FATAL;
	}
	if ((flags & RESET_BROWNOUT) != 0) {
		return THECAL_RESET_BROWN_OUT;
	}
	if ((flags & (RESET_PIN | RESET_DEBUG)) != 0) {
		return THECAL_RESET_EXTERNAL;
	}
	if ((flags & RESET_SOFTWARE) != 0) {
		return THECAL_RESET_SOFTWARE;
	}
#endif
	return THECAL_RESET_POWER_ON;
}

void thecal_system_reset_cause(struct thecal_reset *reset)
{
	static struct thecal_reset known;
	static bool asked;

	if (!asked) {
		/* Asked in any case, because that clears the flags for the next boot. */
		const uint32_t hardware = hardware_cause();

		/*
		 * Where the hardware knows, it is asked first: RAM can be whole after a short loss of power, with the error of the
		 * supply's fall in it. A reset of our own is a software reset to it.
		 */
		if (!take_fatal(&known) || (IS_ENABLED(CONFIG_HWINFO) && hardware == THECAL_RESET_POWER_ON)) {
			known = (struct thecal_reset){.cause = hardware};
		}
		asked = true;
	}
	*reset = known;
}

void thecal_system_reset(void)
{
#ifdef CONFIG_ARCH_POSIX
	posix_exit(THECAL_RESET_EXIT_STATUS);
#else
	sys_reboot(SYS_REBOOT_COLD);
#endif
	CODE_UNREACHABLE;
}
