/*
 * Who is encrypted: pairing, bonds, passkey.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A bond gives privacy and keeps the curious away from the attributes. It carries no authority: the sessions above do not trust it. The passkey
 * is fixed for want of a display, and whoever hears one pairing knows it (the commitments of its twenty rounds are checked one bit at a
 * time); it keeps out who was not there. So phones pair only while the pump is armed.
 *
 * The pairing request itself takes a place in the table of keys before anybody is asked, and it would take that of the oldest bond if Zephyr
 * were told to (CONFIG_BT_KEYS_OVERWRITE_OLDEST): a stranger could delete all bonds, armed or not. So the table has one place more than there are
 * bonds, and a bond is deleted here, when a new one is complete.
 */
#include "link_internal.h"

#include <thecal/link.h>

#include <errno.h>
#include <string.h>

#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/bluetooth/conn.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/settings/settings.h>
#include <zephyr/sys/atomic.h>
#include <zephyr/sys/util.h>

LOG_MODULE_DECLARE(thecal_link, CONFIG_THECAL_LINK_LOG_LEVEL);

/* One place is for the pairing in progress. */
#define BONDS (CONFIG_BT_MAX_PAIRED - 1)

BUILD_ASSERT(BONDS > 0, "a place for the pairing in progress beside the bonds");
BUILD_ASSERT(IS_ENABLED(CONFIG_BT_SMP_SC_ONLY) && IS_ENABLED(CONFIG_BT_SMP_SC_PAIR_ONLY), "LE Secure Connections and nothing else");
BUILD_ASSERT(CONFIG_BT_SMP_MIN_ENC_KEY_SIZE == 16, "no shorter keys");
BUILD_ASSERT(IS_ENABLED(CONFIG_BT_SMP_APP_PAIRING_ACCEPT), "somebody has to be asked");
BUILD_ASSERT(IS_ENABLED(CONFIG_BT_BONDING_REQUIRED), "a pairing without a bond would be one for every connection");
BUILD_ASSERT(IS_ENABLED(CONFIG_SETTINGS_NVS), "bonds are to last: CONFIG_FLASH and CONFIG_FLASH_MAP are needed");
BUILD_ASSERT(IS_ENABLED(CONFIG_BT_PRIVACY), "a pump that can be followed");
BUILD_ASSERT(IS_ENABLED(CONFIG_BT_GATT_CACHING), "a phone has to learn that the table has changed");
BUILD_ASSERT(!IS_ENABLED(CONFIG_BT_USE_DEBUG_KEYS) && !IS_ENABLED(CONFIG_BT_STORE_DEBUG_KEYS), "keys that everybody knows");
BUILD_ASSERT(!IS_ENABLED(CONFIG_BT_KEYS_OVERWRITE_OLDEST), "see above");

static atomic_t armed;
/* Whether a passkey is set. */
static atomic_t keyed;
/* A bond is new. */
static atomic_t complete;

/* Addresses of the bonds in the order in which they came, the oldest first. On flash, because Zephyr's table has no order. Link thread. */
static struct order {
	uint8_t count;
	bt_addr_le_t addresses[BONDS + 1];
} order;

/* As it lies on flash. */
static struct order kept;

/* Of the newest bond; written before `complete` is set, read after. */
static bt_addr_le_t newest;

#define ORDER_NAME "thecal/bonds"

static int load_order(const char *name, size_t length, settings_read_cb read, void *argument)
{
	const size_t whole = length / sizeof(bt_addr_le_t);

	if (!settings_name_steq(name, "bonds", NULL)) {
		return -ENOENT;
	}
	/* What is not a list of addresses is none: the bonds are then in the order of Zephyr's table. */
	if (length % sizeof(bt_addr_le_t) == 0 && whole <= BONDS &&
	    read(argument, order.addresses, length) == (ssize_t)length) {
		order.count = (uint8_t)whole;
		kept = order;
	}
	return 0;
}

SETTINGS_STATIC_HANDLER_DEFINE(thecal_link, "thecal", NULL, load_order, NULL, NULL);

/* ---- Bonds ---- */

struct search {
	const bt_addr_le_t *address;
	uint32_t count;
	bool found;
};

static void compare(const struct bt_bond_info *bond, void *user_data)
{
	struct search *const search = user_data;

	search->count++;
	search->found = search->found || bt_addr_le_eq(&bond->addr, search->address);
}

bool link_security_is_bond(const bt_addr_le_t *address)
{
	struct search search = {.address = address};

	bt_foreach_bond(BT_ID_DEFAULT, compare, &search);
	return search.found;
}

uint32_t thecal_link_bonds(void)
{
	struct search search = {.address = BT_ADDR_LE_ANY};

	bt_foreach_bond(BT_ID_DEFAULT, compare, &search);
	return search.count;
}

static void leave_out(uint32_t place)
{
	order.count--;
	memmove(&order.addresses[place], &order.addresses[place + 1u], (order.count - place) * sizeof(order.addresses[0]));
}

/* Puts an address at the end, unless it is there already. */
static void append(const bt_addr_le_t *address)
{
	for (uint32_t place = 0; place < order.count; place++) {
		if (bt_addr_le_eq(&order.addresses[place], address)) {
			return;
		}
	}
	if (order.count < ARRAY_SIZE(order.addresses)) {
		bt_addr_le_copy(&order.addresses[order.count], address);
		order.count++;
	}
}

static void append_bond(const struct bt_bond_info *bond, void *user_data)
{
	ARG_UNUSED(user_data);
	append(&bond->addr);
}

/* Makes the order that of the bonds there are, and no more of these than may be. */
static void put_in_order(void)
{
	int result;

	for (uint32_t place = order.count; place > 0u; place--) {
		if (!link_security_is_bond(&order.addresses[place - 1u])) {
			leave_out(place - 1u);
		}
	}
	bt_foreach_bond(BT_ID_DEFAULT, append_bond, NULL);
	while (order.count > BONDS) {
		result = bt_unpair(BT_ID_DEFAULT, &order.addresses[0]);
		if (result != 0) {
			LOG_ERR("the oldest bond cannot be deleted (%d)", result);
		}
		leave_out(0);
	}
	if (order.count == kept.count && memcmp(order.addresses, kept.addresses, order.count * sizeof(order.addresses[0])) == 0) {
		return;
	}
	result = settings_save_one(ORDER_NAME, order.addresses, order.count * sizeof(order.addresses[0]));
	if (result != 0) {
		LOG_ERR("the order of the bonds is not kept (%d)", result);
		return;
	}
	kept = order;
}

void link_security_look_after(void)
{
	if (atomic_clear(&complete) == 0) {
		return;
	}
	/* A phone that pairs once more is a new one. */
	for (uint32_t place = order.count; place > 0u; place--) {
		if (bt_addr_le_eq(&order.addresses[place - 1u], &newest)) {
			leave_out(place - 1u);
		}
	}
	append(&newest);
	put_in_order();
	LOG_INF("%u bonds", order.count);
}

/* ---- Pairing (Bluetooth's receiving thread) ---- */

static enum bt_security_err pairing_accept(struct bt_conn *conn, const struct bt_conn_pairing_feat *const phone)
{
	ARG_UNUSED(conn);
	ARG_UNUSED(phone);
	if (atomic_get(&armed) == 0 || atomic_get(&keyed) == 0) {
		LOG_WRN("pairing refused");
		return BT_SECURITY_ERR_PAIR_NOT_ALLOWED;
	}
	return BT_SECURITY_ERR_SUCCESS;
}

/* It is on the implant card. That it can be shown is what makes the phone ask for it. */
static void passkey_display(struct bt_conn *conn, unsigned int passkey)
{
	ARG_UNUSED(conn);
	ARG_UNUSED(passkey);
}

static void cancel(struct bt_conn *conn)
{
	ARG_UNUSED(conn);
}

static const struct bt_conn_auth_cb pairing = {
	.pairing_accept = pairing_accept,
	.passkey_display = passkey_display,
	.cancel = cancel,
};

static void pairing_complete(struct bt_conn *conn, bool bonded)
{
	if (bonded) {
		bt_addr_le_copy(&newest, bt_conn_get_dst(conn));
		atomic_set(&complete, 1);
	}
	link_security_changed(conn);
}

static void pairing_failed(struct bt_conn *conn, enum bt_security_err reason)
{
	LOG_WRN("pairing failed (%d)", reason);
	link_security_changed(conn);
}

static struct bt_conn_auth_info_cb outcome = {
	.pairing_complete = pairing_complete,
	.pairing_failed = pairing_failed,
};

/* ---- What link_gatt.c and the link thread ask for ---- */

int link_security_prepare(void)
{
	const int result = bt_conn_auth_cb_register(&pairing);

	return result != 0 ? result : bt_conn_auth_info_cb_register(&outcome);
}

int link_security_start(void)
{
	const int result = settings_load();

	if (result == 0) {
		/* Power may have failed between a bond and its place in the order. */
		put_in_order();
	}
	return result;
}

bool link_security_armed(void)
{
	return atomic_get(&armed) != 0;
}

void thecal_link_set_armed(bool is)
{
	atomic_set(&armed, is ? 1 : 0);
}

int32_t thecal_link_set_passkey(uint32_t passkey)
{
	const bool is_one = passkey != THECAL_LINK_NO_PASSKEY && passkey <= THECAL_LINK_HIGHEST_PASSKEY;

	atomic_set(&keyed, 0);
	(void)bt_passkey_set(is_one ? passkey : BT_PASSKEY_INVALID);
	atomic_set(&keyed, is_one ? 1 : 0);
	return is_one || passkey == THECAL_LINK_NO_PASSKEY ? 0 : -EINVAL;
}
