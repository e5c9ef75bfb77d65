/*
 * Breaking the firmware on purpose, from the command line of native_sim.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <thecal/fault.h>
#include <thecal/flash.h>
#include <thecal/queue.h>
#include <thecal/system.h>

#include <stdbool.h>
#include <string.h>

#include <zephyr/device.h>
#include <zephyr/devicetree.h>
#include <zephyr/drivers/flash/flash_simulator.h>
#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log_ctrl.h>
#include <zephyr/sys/util.h>

#include "cmdline.h"
#include "posix_board_if.h"
#include "soc.h"

/* What the command line leaves in a number that it was not given. */
#define NOT_GIVEN UINT32_MAX

static const char *kind;
static uint32_t after_seconds;
static bool happened;

static uint32_t cut_at;
static uint32_t cut_seed;
static uint32_t worn_page;
/* Words written and pages erased since the process began, and the first erases among them. */
static uint32_t operations;
static uint32_t erases;
static struct {
	uint32_t operation;
	uint32_t page;
} erased[64];

/* What is left of --commands. */
static const char *commands;
static uint32_t commands_every;

static void wake(struct k_timer *timer)
{
	ARG_UNUSED(timer);
	thecal_system_wake();
}

static K_TIMER_DEFINE(fault_timer, wake, NULL);

uint32_t thecal_fault_due(void)
{
	const uint32_t after = after_seconds == NOT_GIVEN ? 0u : after_seconds;

	if (kind == NULL || happened) {
		return THECAL_FAULT_NONE;
	}
	if (thecal_system_uptime_us() < 1000000ULL * after) {
		if (k_timer_remaining_ticks(&fault_timer) == 0) {
			k_timer_start(&fault_timer, K_TIMEOUT_ABS_MS(1000ULL * after), K_NO_WAIT);
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

/* The whole flash, which is the flash file. */
static uint8_t *flash_memory(void)
{
	size_t size;

	return flash_simulator_get_memory(DEVICE_DT_GET(DT_CHOSEN(zephyr_flash_controller)), &size);
}

/* SplitMix64, repeatable noise from a seed; with the seed and the place of the operation as the journal's own virtual flash has it. */
static uint64_t noise;

static void start_noise(uint32_t place)
{
	noise = cut_seed ^ place * 0xD1B54A32D192ED03ULL;
}

static uint64_t next_noise(void)
{
	uint64_t mixed;

	noise += 0x9E3779B97F4A7C15ULL;
	mixed = (noise ^ (noise >> 30)) * 0xBF58476D1CE4E5B9ULL;
	mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL;
	return mixed ^ (mixed >> 31);
}

static uint32_t next_word(void)
{
	return (uint32_t)(next_noise() >> 32);
}

/* How many of 16 words: both extremes more often than the rest. */
static uint64_t next_share(uint64_t end)
{
	const uint64_t number = next_noise() % end;

	return number < 4u ? 0u : MIN(number - 4u, 16u);
}

static uint32_t word_at(const uint8_t *memory)
{
	uint32_t word;

	memcpy(&word, memory, sizeof(word));
	return word;
}

/* A write that stops on the way: a part of the bits that were to become 0 has. */
static void tear_write(uint8_t *memory, uint32_t address, const uint8_t *bytes)
{
	uint32_t word;

	start_noise(address / THECAL_FLASH_WORD_BYTES);
	word = word_at(&memory[address]) & (word_at(bytes) | next_word());
	memcpy(&memory[address], &word, sizeof(word));
}

/*
 * An erase that stops on the way: each word is erased, unchanged or in between, from hardly begun to nearly done; and the first and the
 * last, on which the view of a page hangs, in every combination. As in src/journal/src/virtual_flash.rs.
 */
static void tear_erase(uint8_t *memory, uint32_t address)
{
	const uint32_t last = THECAL_FLASH_PAGE_BYTES - THECAL_FLASH_WORD_BYTES;
	uint64_t untouched;
	uint64_t halfway;

	start_noise(address / THECAL_FLASH_PAGE_BYTES);
	untouched = next_share(24u);
	halfway = next_share(21u);
	for (uint32_t at = 0; at <= last; at += THECAL_FLASH_WORD_BYTES) {
		const bool marker = at == 0u || at == last;
		uint32_t word = word_at(&memory[address + at]);

		if (next_noise() % 16u >= (marker ? 5u : untouched)) {
			word = next_noise() % 16u < (marker ? 8u : halfway) ? word | next_word() : UINT32_MAX;
		}
		memcpy(&memory[address + at], &word, sizeof(word));
	}
}

/* What the operation comes to within which power is cut: the seed's remainder. */
#define SEEDS     3u
#define NOT_BEGUN 0u
#define TORN      1u
#define UNTOLD    2u

/* The end of the process. What it has said is worth more to a test than the pretence that it had no time to say it. */
static void cut_power(uint8_t *memory)
{
	(void)arch_irq_lock();
	LOG_PANIC();
#if DT_NODE_EXISTS(DT_CHOSEN(thecal_retained))
	/* RAM on a board. */
	memset(&memory[DT_REG_ADDR(DT_CHOSEN(thecal_retained))], 0, DT_REG_SIZE(DT_CHOSEN(thecal_retained)));
#endif
	posix_exit(THECAL_POWER_CUT_EXIT_STATUS);
}

void thecal_fault_flash_write(uint32_t address, const uint8_t *bytes, uint32_t length)
{
	uint8_t *const memory = flash_memory();
	const uint32_t comes_to = cut_seed % SEEDS;

	for (uint32_t at = 0; at < length; at += THECAL_FLASH_WORD_BYTES) {
		/* The simulated flash will refuse the whole write: nothing begins. */
		if (word_at(&memory[address + at]) != UINT32_MAX) {
			return;
		}
	}
	for (uint32_t at = 0; at < length; at += THECAL_FLASH_WORD_BYTES) {
		operations += 1u;
		if (operations != cut_at) {
			continue;
		}
		memcpy(&memory[address], bytes, comes_to == UNTOLD ? at + THECAL_FLASH_WORD_BYTES : at);
		if (comes_to == TORN) {
			tear_write(memory, address + at, &bytes[at]);
		}
		cut_power(memory);
	}
}

int32_t thecal_fault_flash_erase(uint32_t address, uint32_t length)
{
	const uint32_t pages = length / THECAL_FLASH_PAGE_BYTES;
	const uint32_t worn = worn_page - worn_page % THECAL_FLASH_PAGE_BYTES;
	uint8_t *const memory = flash_memory();

	for (uint32_t page = 0; page < pages && erases < ARRAY_SIZE(erased); page++, erases++) {
		erased[erases].operation = operations + page + 1u;
		erased[erases].page = address + page * THECAL_FLASH_PAGE_BYTES;
	}
	/* Neither in here: the driver does it. */
	if ((cut_at <= operations || cut_at - operations > pages) && (worn < address || worn - address >= length)) {
		operations += pages;
		return 0;
	}
	for (uint32_t page = address; page < address + length; page += THECAL_FLASH_PAGE_BYTES) {
		uint32_t comes_to = UNTOLD;

		operations += 1u;
		if (operations == cut_at) {
			comes_to = cut_seed % SEEDS;
		}
		if (page != worn && comes_to == UNTOLD) {
			memset(&memory[page], 0xFF, THECAL_FLASH_PAGE_BYTES);
		} else if (page != worn && comes_to == TORN) {
			tear_erase(memory, page);
		}
		if (operations == cut_at) {
			cut_power(memory);
		}
	}
	return THECAL_FAULT_FLASH_ERASED;
}

/* Where cuts could have been, for whoever looks for places. */
static void tell_operations(void)
{
	posix_print_trace("thecal: %u flash operations, erases:", operations);
	for (uint32_t number = 0; number < erases; number++) {
		posix_print_trace(" %u@%#x", erased[number].operation, erased[number].page);
	}
	posix_print_trace("\n");
}

NATIVE_TASK(tell_operations, ON_EXIT, 2);

static int32_t digit(char character)
{
	if (character >= '0' && character <= '9') {
		return character - '0';
	}
	return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* Hands the next of --commands to the delivery thread as if the link had taken it from a phone. One that finds no room comes again. */
static void hand_over(struct k_timer *timer)
{
	uint8_t bytes[THECAL_QUEUE_BYTES];
	const char *at = commands;
	uint32_t length = 0;

	while (digit(at[0]) >= 0 && digit(at[1]) >= 0 && length < sizeof(bytes)) {
		bytes[length] = (uint8_t)(16 * digit(at[0]) + digit(at[1]));
		length += 1u;
		at += 2;
	}
	if (*at != '\0' && *at != ',') {
		posix_print_warning("thecal: --commands: no hexadecimal digits: %s\n", at);
		k_timer_stop(timer);
		return;
	}
	if (thecal_queue_put(THECAL_QUEUE_COMMANDS, bytes, length, NULL, 0) != 0) {
		return;
	}
	commands = at + 1;
	if (*at == '\0') {
		k_timer_stop(timer);
	}
}

static K_TIMER_DEFINE(commands_timer, hand_over, NULL);

static int start_commands(void)
{
	const k_timeout_t every = K_MSEC(commands_every == NOT_GIVEN ? 1000u : commands_every);

	if (commands != NULL) {
		k_timer_start(&commands_timer, every, every);
	}
	return 0;
}

SYS_INIT(start_commands, APPLICATION, CONFIG_APPLICATION_INIT_PRIORITY);

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
		{
			.option = "flash-cut",
			.name = "number",
			.type = 'u',
			.dest = (void *)&cut_at,
			.descript = "Cut the power within this flash operation: a word written or a page erased, counted from 1",
		},
		{
			.option = "flash-cut-seed",
			.name = "seed",
			.type = 'u',
			.dest = (void *)&cut_seed,
			.descript = "Remainder by 3: 0 it does not begin (default), 1 it is torn as the seed has it, 2 it is done",
		},
		{
			.option = "flash-worn",
			.name = "offset",
			.type = 'u',
			.dest = (void *)&worn_page,
			.descript = "Offset in flash of a page that no erase changes, and none says so",
		},
		{
			.option = "commands",
			.name = "hex,hex,...",
			.type = 's',
			.dest = (void *)&commands,
			.descript = "Messages to the delivery thread as the link would put them into its queue",
		},
		{
			.option = "commands-every",
			.name = "milliseconds",
			.type = 'u',
			.dest = (void *)&commands_every,
			.descript = "Time between two of them, also before the first (default 1000)",
		},
		ARG_TABLE_ENDMARKER,
	};

	native_add_command_line_opts(options);
}

NATIVE_TASK(add_options, PRE_BOOT_1, 2);
