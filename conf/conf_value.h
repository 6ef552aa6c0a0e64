/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf_fault.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Simple values: numbers with and without a unit, words of a list, lists. Each function returns false after
 * adding an error to @place and then leaves its output untouched.
 *
 * @least and @most bound the value; they are written like the value itself, since people read them in
 * messages.
 */

typedef enum {
        CONF_UNIT_NONE,    /* 500 */
        CONF_UNIT_TIME,    /* 500ms 15s 5m 1h 30d, in milliseconds */
        CONF_UNIT_SIZE,    /* 64MiB 64KiB 1GiB 65536, in bytes */
        CONF_UNIT_PERCENT, /* 30% */
} ConfUnit;

bool conf_value_number(const ConfPlace *place, const char *text, ConfUnit unit, const char *least,
                       const char *most, uint64_t *out_number) G_GNUC_WARN_UNUSED_RESULT;

/* The index of @text in @choices, words separated by "|". */
bool conf_value_choice(const ConfPlace *place, const char *text, const char *choices,
                       unsigned *out_index) G_GNUC_WARN_UNUSED_RESULT;

/* Parts at commas, without the blanks around the items; an empty item is an error. New. */
bool conf_value_list(const ConfPlace *place, const char *text, GStrv *out_items) G_GNUC_WARN_UNUSED_RESULT;
