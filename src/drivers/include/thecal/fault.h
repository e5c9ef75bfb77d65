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

#endif /* THECAL_FAULT_H */
