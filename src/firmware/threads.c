/*
 * The three threads of the firmware. Their work is Rust's; what they are is decided here.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * All are essential: one that ended would be a fatal error, not a pump that looks well.
 *
 *   delivery   the highest priority there is, as a meta-IRQ thread: it runs before the cooperative threads of Bluetooth, and nothing
 *              that they do or lock delays a dose. It must be short and must never wait for them.
 *   journal    preemptible, in the middle: waits for flash.
 *   link       preemptible, below every thread of the Bluetooth host.
 */
#include <thecal/system.h>

#include <zephyr/kernel.h>

BUILD_ASSERT(CONFIG_NUM_METAIRQ_PRIORITIES == 1, "the delivery thread is the one meta-IRQ thread");

#define DELIVERY_PRIORITY K_HIGHEST_THREAD_PRIO
#define JOURNAL_PRIORITY  K_PRIO_PREEMPT(CONFIG_THECAL_JOURNAL_PRIORITY)
#define LINK_PRIORITY     K_PRIO_PREEMPT(CONFIG_THECAL_LINK_PRIORITY)

BUILD_ASSERT(CONFIG_THECAL_JOURNAL_PRIORITY < CONFIG_THECAL_LINK_PRIORITY, "records go before radio");
#ifdef CONFIG_BT_LONG_WQ
BUILD_ASSERT(CONFIG_THECAL_LINK_PRIORITY > CONFIG_BT_LONG_WQ_PRIO, "the link thread is below Bluetooth's");
#endif

/* Entry functions in Rust. None of them returns. */
extern void thecal_rs_delivery(void);
extern void thecal_rs_journal(void);
extern void thecal_rs_link(void);

static void enter(void *function, void *unused_2, void *unused_3)
{
	ARG_UNUSED(unused_2);
	ARG_UNUSED(unused_3);
	((void (*)(void))function)();
}

/* SYS_FOREVER_MS: made at boot, started by thecal_threads_start(). */
K_THREAD_DEFINE(thecal_delivery, CONFIG_THECAL_DELIVERY_STACK_SIZE, enter, thecal_rs_delivery, NULL, NULL,
		DELIVERY_PRIORITY, K_ESSENTIAL, SYS_FOREVER_MS);
K_THREAD_DEFINE(thecal_journal, CONFIG_THECAL_JOURNAL_STACK_SIZE, enter, thecal_rs_journal, NULL, NULL,
		JOURNAL_PRIORITY, K_ESSENTIAL, SYS_FOREVER_MS);
#ifdef CONFIG_THECAL_LINK
K_THREAD_DEFINE(thecal_link, CONFIG_THECAL_LINK_STACK_SIZE, enter, thecal_rs_link, NULL, NULL, LINK_PRIORITY,
		K_ESSENTIAL, SYS_FOREVER_MS);
#endif

void thecal_threads_start(void)
{
	k_thread_start(thecal_journal);
	k_thread_start(thecal_delivery);
#ifdef CONFIG_THECAL_LINK
	k_thread_start(thecal_link);
#endif
}
