/*
 * Breaking the firmware on purpose, on native_sim alone (CONFIG_THECAL_FAULT_INJECTION).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_FAULT_H
#define THECAL_FAULT_H

#include <stdint.h>

/* What --fault=KIND asks for. */
#define THECAL_FAULT_NONE 0
#define THECAL_FAULT_OVERFLOW 1 /* overflow: an addition in Rust that does not fit */
#define THECAL_FAULT_ASSERT 2   /* assert: a failed assertion in C */
#define THECAL_FAULT_RETURN 3   /* return: the delivery thread ends */

/* What is to happen now, once: the fault asked for when --fault-after=SECONDS have passed, else THECAL_FAULT_NONE. */
uint32_t thecal_fault_due(void);

/* Fails an assertion. */
void thecal_fault_assert(void);

/* What a process ends with whose power was cut (--flash-cut): start it again with the same flash file. */
#define THECAL_POWER_CUT_EXIT_STATUS 76

/*
 * The flash driver says what it is about to do to the flash as a whole: whole words at an address, whole pages at an address. If power is
 * to be cut within it, this does as much of it as --flash-cut-seed says, and does not return.
 */
void thecal_fault_flash_write(uint32_t address, const uint8_t *bytes, uint32_t length);

/* 0; or THECAL_FAULT_FLASH_ERASED when one of the pages is worn (--flash-worn) and the others were erased here. */
#define THECAL_FAULT_FLASH_ERASED 1
int32_t thecal_fault_flash_erase(uint32_t address, uint32_t length);

#endif /* THECAL_FAULT_H */
