/*
 * The link driver with a slow link thread, for tests/ble/test_driver.py and test_security.py.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The firmware on native_sim is quick; here it is as on a board with much to do. Every event is
 * printed. Info says which session it is for; a frame is put into Response.
 *
 * A magnet held once arms it, without any window of time; held again, it disarms it and lets in bonded phones only.
 */
#include <thecal/link.h>

#include <errno.h>

#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>
#include <zephyr/sys/util.h>

#define SLOW_MS 300

/* tests/ble/test_security.py has the same. */
#define PASSKEY       271828
#define CARD_BYTES    300
#define BATTERY_LEVEL 57

static struct thecal_link_event event;
static bool armed;

static void wake(struct k_timer *unused)
{
	ARG_UNUSED(unused);
	thecal_link_wake();
}

static K_TIMER_DEFINE(waker, wake, NULL);

static int32_t set_info(uint32_t session)
{
	const uint8_t info[] = {'i', 'n', 'f', 'o', (uint8_t)('0' + session % 10)};

	return thecal_link_set_info(info, sizeof(info));
}

/* How long a wait for events takes that nothing but a wake-up ends. */
static void try_wake(const char *when)
{
	const int64_t begun = k_uptime_get();
	const int32_t result = thecal_link_receive(&event, 5000);
	const int64_t took = k_uptime_get() - begun;

	printk("link: woken %s: %s after %d ms\n", when, result == -EAGAIN ? "nothing" : "an event", (int)took);
}

/* Once and again. */
static void toggle_armed(void)
{
	armed = !armed;
	thecal_link_set_armed(armed);
	printk("link: armed: %d\n", armed);
	(void)thecal_link_set_advertising(armed ? THECAL_LINK_ADVERTISE_FAST : THECAL_LINK_ADVERTISE_BONDED);
}

/* What the pump shows beside its link. */
static int32_t set_up(void)
{
	static uint8_t card[CARD_BYTES];
	int32_t result;

	for (uint32_t at = 0; at < sizeof(card); at++) {
		card[at] = (uint8_t)at;
	}
	result = thecal_link_set_card(card, sizeof(card));
	if (result == 0) {
		result = thecal_link_set_battery(BATTERY_LEVEL);
	}
	return result == 0 ? thecal_link_set_passkey(PASSKEY) : result;
}

int main(void)
{
	int32_t result = set_info(1);

	if (result == 0) {
		result = set_up();
	}
	/* While nobody can be there yet. */
	k_timer_start(&waker, K_MSEC(100), K_NO_WAIT);
	try_wake("from an interrupt");
	thecal_link_wake();
	try_wake("beforehand");

	if (result == 0) {
		result = thecal_link_start();
	}
	printk("link: started (%d)\n", result);
	while (result == 0) {
		const bool happened = thecal_link_receive(&event, 50) == 0;

		if (happened) {
			printk("link: event %u, session %u, MTU %u, length %u, security %u, bonded %u, held %u, bonds %u\n",
			       event.kind, event.session, event.mtu, event.length, event.security, event.bonded, event.held,
			       thecal_link_bonds());
		}
		/* Busy elsewhere: what comes and goes meanwhile is told afterwards. */
		k_msleep(SLOW_MS);
		if (!happened) {
			continue;
		}
		if (event.kind == THECAL_LINK_MAGNET && event.held) {
			toggle_armed();
		} else if (event.kind == THECAL_LINK_FRAME) {
			(void)thecal_link_set_response(event.session, event.bytes, event.length);
		} else if (event.kind == THECAL_LINK_CONNECTED) {
			(void)thecal_link_set_response(event.session, event.bytes, 20);
		} else if (event.kind == THECAL_LINK_DISCONNECTED) {
			(void)set_info(event.session + 1);
		}
	}
	return 0;
}
