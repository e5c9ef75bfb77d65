/*
 * The link over Bluetooth: one GATT service, one phone at a time. Who may be encrypted is said in link_security.c, how phones find the pump in
 * link_advertising.c, what else it says of itself in link_services.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Three threads meet here. Callbacks run in Bluetooth's receiving thread: they copy, set flags, give a semaphore and return. The link
 * thread comes for what happened with thecal_link_receive(), and there it also advertises. What they touch is behind one spinlock, held for
 * a copy of one frame at most.
 *
 * Indications and notifications go out from the system work queue. Buffers for them come back when the phone has acknowledged what was sent
 * before, and the host lets every other thread wait for one without an end (att.c): a phone that asks for much and acknowledges nothing would hold the
 * link thread, and with it all time-outs and the magnet. On the work queue the host never waits; without a buffer it is tried again. What the
 * link thread itself calls waits for the controller at most, never for the phone.
 *
 * The order of what is told: CONNECTED, then frames in their order with an OVERFLOW where some are missing, then DISCONNECTED. MTU and
 * SECURITY are told before frames that wait, the magnet before everything. Advertising begins again when DISCONNECTED has been dealt
 * with, so that the next phone never meets what was meant for the one before.
 */
#include "link_internal.h"

#include <thecal/link.h>
#include <thecal/magnet.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/bluetooth/conn.h>
#include <zephyr/bluetooth/gatt.h>
#include <zephyr/bluetooth/uuid.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/byteorder.h>
#include <zephyr/sys/ring_buffer.h>
#include <zephyr/sys/util.h>

LOG_MODULE_REGISTER(thecal_link, CONFIG_THECAL_LINK_LOG_LEVEL);

#define MTU_LOWEST   23
#define MTU_HIGHEST  247
#define WRITE_HEADER 3

BUILD_ASSERT(CONFIG_BT_MAX_CONN == 1, "one phone at a time");
BUILD_ASSERT(CONFIG_BT_L2CAP_TX_MTU == MTU_HIGHEST && CONFIG_BT_BUF_ACL_RX_SIZE >= MTU_HIGHEST + 4,
	     "frames are made for an ATT_MTU of up to 247");
BUILD_ASSERT(THECAL_LINK_FRAME_BYTES == MTU_HIGHEST - WRITE_HEADER, "link.h says otherwise");
/* A request is the one thing for which the host would wait on the work queue, too. There are as many as there are buffers. */
BUILD_ASSERT(CONFIG_BT_ATT_TX_COUNT >= 2, "requests for an indication of Response and for one of Service Changed");

/* Fixed for good; src/protocol/src/uuid.rs has the same, and tests/ble compares. */
#define LINK_UUID(short_) BT_UUID_INIT_128(BT_UUID_128_ENCODE(0x6a3e0000 + (short_), 0x1f0d, 0x4b59, 0x9c1e, 0x7d5a0c9be4f2))

static const struct bt_uuid_128 service_uuid = BT_UUID_INIT_128(LINK_SERVICE_UUID);
static const struct bt_uuid_128 info_uuid = LINK_UUID(0x0002);
static const struct bt_uuid_128 command_uuid = LINK_UUID(0x0003);
static const struct bt_uuid_128 response_uuid = LINK_UUID(0x0004);
static const struct bt_uuid_128 data_uuid = LINK_UUID(0x0005);
static const struct bt_uuid_128 status_changed_uuid = LINK_UUID(0x0006);
static const struct bt_uuid_128 emergency_card_uuid = LINK_UUID(0x0007);

#define MAY_READ  BT_GATT_PERM_READ_LESC
#define MAY_WRITE BT_GATT_PERM_WRITE_LESC

/*
 * A value that a phone reads. A long one takes several reads, each from an offset; meanwhile the link thread may set
 * another. A read from offset 0 therefore takes a copy, and those from other offsets go on with it.
 */
struct value {
	uint8_t *bytes;
	uint8_t *copy; /* of Bluetooth's receiving thread alone */
	uint16_t length;
	uint16_t copied_length;
	bool copied; /* on this connection */
};

#define VALUE(limit)                                                                                                   \
	{                                                                                                              \
		.bytes = (uint8_t[limit]){0}, .copy = (uint8_t[limit]){0},                                             \
	}

static struct k_spinlock lock;

/* Behind the lock. */
static struct {
	struct bt_conn *phone; /* the one that is connected, with a reference; NULL when there is none */
	uint32_t session;
	uint16_t mtu;
	bool overflow;      /* the frame buffer was full: nothing is taken until the link thread knows */
	bool advertising;
	bool indicate;      /* Response is to be indicated as soon as may be */
	bool indicating;    /* the phone has not confirmed the last one yet: `indication` belongs to the host */
	bool notify;        /* so is Status changed to be notified */
	uint16_t status_changed;
	uint8_t security;
	uint16_t interval;  /* of the connection, in units of 1.25 ms */
	bool bonded;
	bool stranger;      /* got in although only bonded phones may: is to be turned away */
	bool held;          /* the magnet */
	uint32_t mode;      /* in which it advertises, if it does */
	struct value info;
	struct value response;
	struct value card;
} shared = {
	.info = VALUE(THECAL_LINK_FRAME_BYTES),
	.response = VALUE(THECAL_LINK_FRAME_BYTES),
	.card = VALUE(THECAL_LINK_CARD_BYTES),
};

RING_BUF_DECLARE(link_frames, CONFIG_THECAL_LINK_FRAME_BUFFER_BYTES);

/* What the link thread has been told; its own. */
static struct {
	uint32_t session;
	uint16_t mtu;
	uint8_t security;
	uint16_t interval;
	bool bonded;
	bool held;
	bool connected;
	bool started;
} told;

/* How the link thread wants the pump to show itself; its own. */
static uint32_t wanted_mode = THECAL_LINK_ADVERTISE_SLOW;

static K_SEM_DEFINE(link_happened, 0, 1);
static atomic_t link_woken;

/* Longest wait for another attempt at advertising, should the first have failed. */
#define ADVERTISING_RETRY_MS 1000

/* ---- Attributes (Bluetooth's receiving thread) ---- */

/* Takes the copy that a read from this offset is answered with. */
static void take_copy(struct value *value, uint16_t offset)
{
	const k_spinlock_key_t key = k_spin_lock(&lock);

	if (offset == 0 || !value->copied) {
		memcpy(value->copy, value->bytes, value->length);
		value->copied_length = value->length;
		value->copied = true;
	}
	k_spin_unlock(&lock, key);
}

static ssize_t read_value(struct bt_conn *conn, const struct bt_gatt_attr *attr, void *buffer, uint16_t length,
			  uint16_t offset)
{
	struct value *const value = attr->user_data;

	take_copy(value, offset);
	return bt_gatt_attr_read(conn, attr, buffer, length, offset, value->copy, value->copied_length);
}

static ssize_t read_card(struct bt_conn *conn, const struct bt_gatt_attr *attr, void *buffer, uint16_t length, uint16_t offset)
{
	struct value *const value = attr->user_data;

	/* Not "insufficient authentication": phones would begin to pair. */
	if (!link_security_armed()) {
		return BT_GATT_ERR(BT_ATT_ERR_READ_NOT_PERMITTED);
	}
	take_copy(value, offset);
	/* The card of this window is not there yet. */
	if (value->copied_length == 0) {
		return BT_GATT_ERR(BT_ATT_ERR_READ_NOT_PERMITTED);
	}
	return bt_gatt_attr_read(conn, attr, buffer, length, offset, value->copy, value->copied_length);
}

static ssize_t read_status_changed(struct bt_conn *conn, const struct bt_gatt_attr *attr, void *buffer, uint16_t length,
				   uint16_t offset)
{
	const uint16_t flags = sys_cpu_to_le16(shared.status_changed);

	return bt_gatt_attr_read(conn, attr, buffer, length, offset, &flags, sizeof(flags));
}

static ssize_t write_command(struct bt_conn *conn, const struct bt_gatt_attr *attr, const void *bytes, uint16_t length,
			     uint16_t offset, uint8_t flags)
{
	bool taken = false;
	k_spinlock_key_t key;

	ARG_UNUSED(attr);
	ARG_UNUSED(flags);
	if (offset != 0) {
		return BT_GATT_ERR(BT_ATT_ERR_INVALID_OFFSET);
	}
	if (length > THECAL_LINK_FRAME_BYTES) {
		return BT_GATT_ERR(BT_ATT_ERR_INVALID_ATTRIBUTE_LEN);
	}
	key = k_spin_lock(&lock);
	if (conn == shared.phone && !shared.overflow) {
		if (ring_buf_space_get(&link_frames) >= sizeof(length) + length) {
			(void)ring_buf_put(&link_frames, (const uint8_t *)&length, sizeof(length));
			(void)ring_buf_put(&link_frames, bytes, length);
			taken = true;
		} else {
			shared.overflow = true;
		}
	}
	k_spin_unlock(&lock, key);
	k_sem_give(&link_happened);
	/* A write without response gets no answer, so this tells only a phone that waits for one. */
	return taken ? length : BT_GATT_ERR(BT_ATT_ERR_INSUFFICIENT_RESOURCES);
}

/* clang-format off */
BT_GATT_SERVICE_DEFINE(thecal_link_service,
	BT_GATT_PRIMARY_SERVICE(&service_uuid),
	BT_GATT_CHARACTERISTIC(&info_uuid.uuid, BT_GATT_CHRC_READ,
			       BT_GATT_PERM_READ, read_value, NULL, &shared.info),
	BT_GATT_CHARACTERISTIC(&command_uuid.uuid, BT_GATT_CHRC_WRITE | BT_GATT_CHRC_WRITE_WITHOUT_RESP,
			       MAY_WRITE, NULL, write_command, NULL),
	BT_GATT_CHARACTERISTIC(&response_uuid.uuid, BT_GATT_CHRC_READ | BT_GATT_CHRC_INDICATE,
			       MAY_READ, read_value, NULL, &shared.response),
	BT_GATT_CCC(NULL, BT_GATT_PERM_READ | MAY_WRITE),
	BT_GATT_CHARACTERISTIC(&data_uuid.uuid, BT_GATT_CHRC_NOTIFY,
			       MAY_READ, NULL, NULL, NULL),
	BT_GATT_CCC(NULL, BT_GATT_PERM_READ | MAY_WRITE),
	BT_GATT_CHARACTERISTIC(&status_changed_uuid.uuid, BT_GATT_CHRC_READ | BT_GATT_CHRC_NOTIFY,
			       MAY_READ, read_status_changed, NULL, NULL),
	BT_GATT_CCC(NULL, BT_GATT_PERM_READ | MAY_WRITE),
	BT_GATT_CHARACTERISTIC(&emergency_card_uuid.uuid, BT_GATT_CHRC_READ,
			       BT_GATT_PERM_READ, read_card, NULL, &shared.card),
);
/* clang-format on */

static const struct bt_gatt_attr *attribute(const struct bt_uuid_128 *uuid)
{
	return bt_gatt_find_by_uuid(thecal_link_service.attrs, thecal_link_service.attr_count, &uuid->uuid);
}

/* ---- Connections (Bluetooth's threads) ---- */

static void connected(struct bt_conn *conn, uint8_t error)
{
	const bool bonded = error == 0 && link_security_is_bond(bt_conn_get_dst(conn));
	struct bt_conn_info info = {0};
	k_spinlock_key_t key;

	if (error == 0) {
		(void)bt_conn_get_info(conn, &info);
	}
	key = k_spin_lock(&lock);
	/* Whether or not the connection came about, this ends the advertising. */
	shared.advertising = false;
	if (error == 0) {
		shared.phone = bt_conn_ref(conn);
		shared.session++;
		shared.mtu = MTU_LOWEST;
		shared.security = BT_SECURITY_L1;
		shared.bonded = bonded;
		shared.interval = info.le.interval;
		/* A controller that does not look at its accept list. */
		shared.stranger = !bonded && shared.mode == THECAL_LINK_ADVERTISE_BONDED;
		shared.response.length = 0;
		shared.response.copied = false;
		shared.info.copied = false;
		shared.card.copied = false;
		shared.indicate = false;
		shared.notify = false;
	}
	k_spin_unlock(&lock, key);
	k_sem_give(&link_happened);
}

static void disconnected(struct bt_conn *conn, uint8_t reason)
{
	bool ours;
	const k_spinlock_key_t key = k_spin_lock(&lock);

	ours = conn == shared.phone;
	if (ours) {
		shared.phone = NULL;
	}
	k_spin_unlock(&lock, key);
	if (ours) {
		LOG_DBG("disconnected, reason 0x%02x", reason);
		bt_conn_unref(conn);
	}
	k_sem_give(&link_happened);
}

/* The host can take another connection. */
static void recycled(void)
{
	k_sem_give(&link_happened);
}

void link_security_changed(struct bt_conn *conn)
{
	const bool bonded = link_security_is_bond(bt_conn_get_dst(conn));
	k_spinlock_key_t key = k_spin_lock(&lock);

	if (conn == shared.phone) {
		shared.security = (uint8_t)bt_conn_get_security(conn);
		shared.bonded = bonded;
	}
	k_spin_unlock(&lock, key);
	k_sem_give(&link_happened);
}

static void security_changed(struct bt_conn *conn, bt_security_t level, enum bt_security_err error)
{
	ARG_UNUSED(level);
	ARG_UNUSED(error);
	link_security_changed(conn);
}

static void paced(struct bt_conn *conn, uint16_t interval, uint16_t latency, uint16_t timeout)
{
	const k_spinlock_key_t key = k_spin_lock(&lock);

	ARG_UNUSED(latency);
	ARG_UNUSED(timeout);
	if (conn == shared.phone) {
		shared.interval = interval;
	}
	k_spin_unlock(&lock, key);
	k_sem_give(&link_happened);
}

BT_CONN_CB_DEFINE(thecal_link_connection) = {
	.connected = connected,
	.disconnected = disconnected,
	.le_param_updated = paced,
	.recycled = recycled,
	.security_changed = security_changed,
};

static void mtu_updated(struct bt_conn *conn, uint16_t unused_tx, uint16_t unused_rx)
{
	const uint16_t mtu = CLAMP(bt_gatt_get_mtu(conn), MTU_LOWEST, MTU_HIGHEST);
	k_spinlock_key_t key;

	ARG_UNUSED(unused_tx);
	ARG_UNUSED(unused_rx);
	key = k_spin_lock(&lock);
	if (conn == shared.phone) {
		shared.mtu = mtu;
	}
	k_spin_unlock(&lock, key);
	k_sem_give(&link_happened);
}

static struct bt_gatt_cb gatt_callbacks = {
	.att_mtu_updated = mtu_updated,
};

/* ---- What is sent without being asked (system work queue) ---- */

static void send(struct k_work *unused);
static K_WORK_DELAYABLE_DEFINE(sending, send);

/* Any thread. */
static void send_soon(void)
{
	(void)k_work_reschedule(&sending, K_NO_WAIT);
}

/* Bluetooth's receiving thread. */
static void indication_over(struct bt_gatt_indicate_params *unused)
{
	k_spinlock_key_t key;

	ARG_UNUSED(unused);
	key = k_spin_lock(&lock);
	shared.indicating = false;
	k_spin_unlock(&lock, key);
	/* There may be a newer one. */
	send_soon();
}

/* Indicates Response if that is still to be done. A phone that has not subscribed polls. False: there was no buffer. */
static bool indicate_response(void)
{
	/* The host copies the bytes but keeps the parameters until the phone has confirmed; `indicating` says so. */
	static struct bt_gatt_indicate_params indication;
	static uint8_t bytes[THECAL_LINK_FRAME_BYTES];
	const struct bt_gatt_attr *const response = attribute(&response_uuid);
	struct bt_conn *phone = NULL;
	uint32_t session = 0;
	uint16_t length = 0;
	int result = -EINVAL;
	k_spinlock_key_t key = k_spin_lock(&lock);

	if (shared.indicate && !shared.indicating && shared.phone != NULL) {
		phone = bt_conn_ref(shared.phone);
		session = shared.session;
		shared.indicate = false;
		shared.indicating = true;
		length = shared.response.length;
		memcpy(bytes, shared.response.bytes, length);
	}
	k_spin_unlock(&lock, key);
	if (phone == NULL) {
		return true;
	}
	if (bt_gatt_is_subscribed(phone, response, BT_GATT_CCC_INDICATE)) {
		indication = (struct bt_gatt_indicate_params){
			.attr = response,
			.destroy = indication_over,
			.data = bytes,
			.len = length,
		};
		result = bt_gatt_indicate(phone, &indication);
		if (result != 0 && result != -ENOMEM) {
			LOG_WRN("response not indicated (%d)", result);
		}
	}
	if (result != 0) {
		key = k_spin_lock(&lock);
		shared.indicating = false;
		/* What Response holds by then; nothing, if it has been emptied or is another phone's. */
		if (result == -ENOMEM && session == shared.session && shared.response.length != 0) {
			shared.indicate = true;
		}
		k_spin_unlock(&lock, key);
	}
	bt_conn_unref(phone);
	return result != -ENOMEM;
}

/* Notifies Status changed if that is still to be done. False: there was no buffer. */
static bool notify_status_changed(void)
{
	const struct bt_gatt_attr *const status_changed = attribute(&status_changed_uuid);
	struct bt_conn *phone = NULL;
	uint32_t session = 0;
	uint16_t value = 0;
	int result = 0;
	k_spinlock_key_t key = k_spin_lock(&lock);

	if (shared.notify && shared.phone != NULL) {
		phone = bt_conn_ref(shared.phone);
		session = shared.session;
		value = sys_cpu_to_le16(shared.status_changed);
		shared.notify = false;
	}
	k_spin_unlock(&lock, key);
	if (phone == NULL) {
		return true;
	}
	if (bt_gatt_is_subscribed(phone, status_changed, BT_GATT_CCC_NOTIFY)) {
		result = bt_gatt_notify(phone, status_changed, &value, sizeof(value));
		if (result != 0 && result != -ENOMEM) {
			LOG_WRN("status not notified (%d)", result);
		}
	}
	if (result == -ENOMEM) {
		key = k_spin_lock(&lock);
		shared.notify = shared.notify || session == shared.session;
		k_spin_unlock(&lock, key);
	}
	bt_conn_unref(phone);
	return result != -ENOMEM;
}

static void send(struct k_work *unused)
{
	const bool indicated = indicate_response();
	const bool notified = notify_status_changed();

	ARG_UNUSED(unused);
	/* Nothing is left to be done when the phone has gone. Not later than somebody has asked for meanwhile. */
	if (!indicated || !notified) {
		(void)k_work_schedule(&sending, K_MSEC(LINK_SEND_RETRY_MS));
	}
}

/* ---- What may wait for the controller (link thread) ---- */

/* Ends the connection of a phone that should not have come in. */
static void turn_away(void)
{
	struct bt_conn *phone = NULL;
	const k_spinlock_key_t key = k_spin_lock(&lock);

	if (shared.stranger && shared.phone != NULL) {
		phone = bt_conn_ref(shared.phone);
	}
	shared.stranger = false;
	k_spin_unlock(&lock, key);
	if (phone != NULL) {
		(void)bt_conn_disconnect(phone, BT_HCI_ERR_REMOTE_USER_TERM_CONN);
		bt_conn_unref(phone);
	}
}

/* Advertises, unless it does already, or there is a phone, or was one that the link thread does not know of. True: try again. */
static bool advertise(void)
{
	k_spinlock_key_t key = k_spin_lock(&lock);
	const bool wanted = wanted_mode != THECAL_LINK_ADVERTISE_OFF && told.started && !told.connected &&
			    told.session == shared.session && shared.phone == NULL && !shared.advertising;
	int result;

	/* Set beforehand: the connection, which ends it, may come before this has returned. */
	if (wanted) {
		shared.advertising = true;
		shared.mode = wanted_mode;
	}
	k_spin_unlock(&lock, key);
	if (!wanted) {
		return false;
	}
	result = link_advertising_begin(wanted_mode);
	/* Without a bond there is nobody to show itself to: that counts as advertising until something changes. */
	if (result == 0 || result == -EALREADY || result == -ENODATA) {
		return false;
	}
	/* Without memory: the host has not finished with the last connection; it says when it has (recycled). */
	if (result != -ENOMEM) {
		LOG_ERR("does not advertise (%d)", result);
	}
	key = k_spin_lock(&lock);
	shared.advertising = false;
	k_spin_unlock(&lock, key);
	return true;
}

#ifdef CONFIG_THECAL_MAGNET
/* From an interrupt. */
static void magnet_changed(bool held)
{
	const k_spinlock_key_t key = k_spin_lock(&lock);

	shared.held = held;
	k_spin_unlock(&lock, key);
	k_sem_give(&link_happened);
}
#endif

/* ---- link.h ---- */

int32_t thecal_link_start(void)
{
	int result;

#ifdef CONFIG_THECAL_MAGNET
	result = thecal_magnet_start(magnet_changed);
	if (result != 0) {
		/* Nobody can arm the pump; whoever has a key reaches it all the same. */
		LOG_ERR("no magnet (%d)", result);
	}
#endif
	result = link_security_prepare();
	if (result == 0) {
		result = bt_enable(NULL);
	}
	if (result == 0) {
		result = link_security_start();
	}
	if (result != 0) {
		return result;
	}
	bt_gatt_cb_register(&gatt_callbacks);
	told.started = true;
	/* What fails now is tried again by thecal_link_receive(). */
	(void)advertise();
	return 0;
}

/* The next thing that the link thread does not know yet. */
static bool next_event(struct thecal_link_event *event)
{
	uint16_t kind = 0;
	k_spinlock_key_t key;

	/* What is not used is 0 every time: nothing of an earlier event is left in it. */
	memset(event, 0, sizeof(*event));
	key = k_spin_lock(&lock);
	if (told.held != shared.held) {
		told.held = shared.held;
		kind = THECAL_LINK_MAGNET;
	} else if (!told.connected && told.session != shared.session) {
		told.connected = true;
		told.session = shared.session;
		told.mtu = shared.mtu;
		told.security = BT_SECURITY_L1;
		told.bonded = shared.bonded;
		told.interval = 0;
		kind = THECAL_LINK_CONNECTED;
	} else if (told.connected && told.interval != shared.interval) {
		told.interval = shared.interval;
		kind = THECAL_LINK_PACED;
	} else if (told.connected && told.mtu != shared.mtu) {
		told.mtu = shared.mtu;
		kind = THECAL_LINK_MTU;
	} else if (told.connected && (told.security != shared.security || told.bonded != shared.bonded)) {
		told.security = shared.security;
		told.bonded = shared.bonded;
		kind = THECAL_LINK_SECURITY;
	} else if (ring_buf_get(&link_frames, (uint8_t *)&event->length, sizeof(event->length)) != 0) {
		(void)ring_buf_get(&link_frames, event->bytes, event->length);
		kind = THECAL_LINK_FRAME;
	} else if (shared.overflow) {
		shared.overflow = false;
		kind = THECAL_LINK_OVERFLOW;
	} else if (told.connected && shared.phone == NULL) {
		told.connected = false;
		kind = THECAL_LINK_DISCONNECTED;
	}
	k_spin_unlock(&lock, key);
	event->kind = kind;
	event->session = told.session;
	event->mtu = told.mtu;
	event->security = told.security;
	event->bonded = told.bonded;
	event->held = told.held;
	event->interval = told.interval;
	return kind != 0;
}

int32_t thecal_link_receive(struct thecal_link_event *event, uint32_t timeout_ms)
{
	const k_timepoint_t end = sys_timepoint_calc(K_MSEC(timeout_ms));

	for (;;) {
		const k_timeout_t pause = K_MSEC(ADVERTISING_RETRY_MS);
		k_timeout_t left;
		bool retry;

		turn_away();
		/* Before the next phone can be there: it may want a bond of its own. */
		link_security_look_after();
		retry = advertise();
		left = sys_timepoint_timeout(end);
		if (next_event(event)) {
			return 0;
		}
		if (atomic_clear(&link_woken) != 0) {
			return -EAGAIN;
		}
		if (k_sem_take(&link_happened, retry && left.ticks > pause.ticks ? pause : left) != 0 &&
		    sys_timepoint_expired(end)) {
			return -EAGAIN;
		}
	}
}

void thecal_link_wake(void)
{
	atomic_set(&link_woken, 1);
	k_sem_give(&link_happened);
}

int32_t thecal_link_set_response(uint32_t session, const uint8_t *bytes, uint16_t length)
{
	int32_t result = 0;
	const k_spinlock_key_t key = k_spin_lock(&lock);

	if (shared.phone == NULL || session != shared.session) {
		result = -ENOTCONN;
	} else if (length > shared.mtu - WRITE_HEADER) {
		result = -EMSGSIZE;
	} else {
		memcpy(shared.response.bytes, bytes, length);
		shared.response.length = length;
		shared.indicate = length != 0;
	}
	k_spin_unlock(&lock, key);
	send_soon();
	return result;
}

static int32_t set_value(struct value *value, uint16_t limit, const uint8_t *bytes, uint16_t length)
{
	k_spinlock_key_t key;

	if (length > limit) {
		return -EMSGSIZE;
	}
	key = k_spin_lock(&lock);
	memcpy(value->bytes, bytes, length);
	value->length = length;
	/* What is taken back is not read on either. */
	if (length == 0) {
		value->copied = false;
	}
	k_spin_unlock(&lock, key);
	return 0;
}

int32_t thecal_link_set_info(const uint8_t *bytes, uint16_t length)
{
	return set_value(&shared.info, THECAL_LINK_FRAME_BYTES, bytes, length);
}

int32_t thecal_link_set_card(const uint8_t *bytes, uint16_t length)
{
	return set_value(&shared.card, THECAL_LINK_CARD_BYTES, bytes, length);
}

int32_t thecal_link_set_advertising(uint32_t mode)
{
	int result;
	k_spinlock_key_t key;

	if (mode > THECAL_LINK_ADVERTISE_BONDED) {
		return -EINVAL;
	}
	if (mode == wanted_mode) {
		return 0;
	}
	if (told.started) {
		/* thecal_link_receive() begins anew. A phone that has just connected has ended it already. */
		result = link_advertising_end();
		if (result != 0) {
			/* The old way goes on, and is still what is wanted: whoever asks again is not told that it is done. */
			return result;
		}
		key = k_spin_lock(&lock);
		shared.advertising = false;
		k_spin_unlock(&lock, key);
	}
	wanted_mode = mode;
	return 0;
}

void thecal_link_set_status_changed(uint16_t flags)
{
	const k_spinlock_key_t key = k_spin_lock(&lock);

	if (shared.status_changed != flags) {
		shared.status_changed = flags;
		shared.notify = shared.phone != NULL;
	}
	k_spin_unlock(&lock, key);
	send_soon();
}

int32_t thecal_link_disconnect(uint32_t session)
{
	struct bt_conn *phone = NULL;
	int result;
	const k_spinlock_key_t key = k_spin_lock(&lock);

	if (session == shared.session && shared.phone != NULL) {
		phone = bt_conn_ref(shared.phone);
	}
	k_spin_unlock(&lock, key);
	if (phone == NULL) {
		return -ENOTCONN;
	}
	result = bt_conn_disconnect(phone, BT_HCI_ERR_REMOTE_USER_TERM_CONN);
	bt_conn_unref(phone);
	return result;
}
