/*
 * What happens after a fatal error: motor off, cause kept, reset. Therapy is back with the next boot.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every way of dying ends here: a Rust panic, a failed assertion, a stack overflow, a processor fault, the end of an essential thread.
 */
#include <thecal/motor.h>
#include <thecal/system.h>

#include <zephyr/fatal.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log_ctrl.h>

static uint32_t program_counter(const struct arch_esf *frame)
{
#ifdef CONFIG_CPU_CORTEX_M
	return frame != NULL ? frame->basic.pc : 0;
#else
	ARG_UNUSED(frame);
	return 0;
#endif
}

void k_sys_fatal_error_handler(unsigned int reason, const struct arch_esf *frame)
{
	static volatile uint32_t depth;

	(void)arch_irq_lock();
	depth += 1;
	if (depth == 1) {
#ifdef CONFIG_THECAL_MOTOR
		thecal_motor_off();
#endif
		thecal_system_retain_fatal(reason, program_counter(frame));
		/* The lines on their way are worth the milliseconds; should they fail in turn, the next depth leaves them out. */
		printk("thecal: fatal error %u, motor off, reset\n", reason);
		LOG_PANIC();
	}
	thecal_system_reset();
	CODE_UNREACHABLE;
}
