/* SPDX-License-Identifier: MIT */

/*
 * A number is digits and a unit. There are no fractions and no signs; every unit is a whole multiple of the
 * smallest, so 1.5s is written 1500ms. A time without a unit is refused rather than guessed at.
 */

#include "conf/conf_value.h"

#include "conf/conf_nearest.h"

#include <string.h>

typedef struct {
        const char *name;
        uint64_t factor;
} Unit;

static const Unit times[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const Unit sizes[] = {{"", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {NULL, 0}};
static const Unit percents[] = {{"%", 1}, {NULL, 0}};
static const Unit counts[] = {{"", 1}, {NULL, 0}};

static const struct {
        const Unit *units;
        const char *remedy;
} kinds[] = {
    [CONF_UNIT_NONE] = {counts, "write a whole number"},
    [CONF_UNIT_TIME] = {times, "write a whole number and ms, s, m, h or d, such as 15s"},
    [CONF_UNIT_SIZE] = {sizes, "write a whole number of bytes, or one with KiB, MiB or GiB, such as 64MiB"},
    [CONF_UNIT_PERCENT] = {percents, "write a whole number and %, such as 30%"},
};

typedef enum { NUMBER_OK, NUMBER_MALFORMED, NUMBER_UNIT, NUMBER_HUGE } NumberResult;

static NumberResult
parse(const char *text, const Unit *unit, uint64_t *out_number)
{
        size_t digits = strspn(text, "0123456789");
        const char *suffix = text + digits;
        while (*suffix == ' ')
                suffix++;
        if (digits == 0 || strspn(suffix, ".,+-") > 0)
                return NUMBER_MALFORMED;
        while (unit->name && strcmp(unit->name, suffix) != 0)
                unit++;
        if (!unit->name)
                return NUMBER_UNIT;
        g_autofree char *number = g_strndup(text, digits);
        guint64 value;
        if (!g_ascii_string_to_unsigned(number, 10, 0, G_MAXINT64, &value, NULL) ||
            value > G_MAXINT64 / unit->factor)
                return NUMBER_HUGE;
        *out_number = value * unit->factor;
        return NUMBER_OK;
}

/* Units differ by case from what people type: 64mb, 15S, 5min. */
static const char *
nearest_unit(const char *suffix, const Unit *units)
{
        static const char *const usual[][2] = {
            {"sec", "s"}, {"seconds", "s"}, {"min", "m"}, {"minutes", "m"}, {"hours", "h"}, {"days", "d"},
            {"k", "KiB"}, {"kb", "KiB"},    {"m", "MiB"}, {"mb", "MiB"},    {"g", "GiB"},   {"gb", "GiB"}};
        for (const Unit *unit = units; unit->name; unit++) {
                if (*suffix && g_ascii_strcasecmp(unit->name, suffix) == 0)
                        return unit->name;
                for (size_t i = 0; i < G_N_ELEMENTS(usual); i++)
                        if (g_ascii_strcasecmp(usual[i][0], suffix) == 0 &&
                            strcmp(usual[i][1], unit->name) == 0)
                                return unit->name;
        }
        return NULL;
}

static bool
refuse_unit(const ConfPlace *place, const char *text, ConfUnit unit)
{
        g_autofree char *quoted = conf_quote(text);
        const char *suffix = text + strspn(text, "0123456789 ");
        const char *nearest = nearest_unit(suffix, kinds[unit].units);
        if (!*suffix)
                return conf_place_error(place, "%s has no unit; %s", quoted, kinds[unit].remedy);
        if (!nearest)
                return conf_place_error(place, "%s has an unknown unit; %s", quoted, kinds[unit].remedy);
        return conf_place_error(place, "%s has an unknown unit; did you mean \"%.*s%s\"?", quoted,
                                (int)strspn(text, "0123456789"), text, nearest);
}

bool
conf_value_number(const ConfPlace *place, const char *text, ConfUnit unit, const char *least,
                  const char *most, uint64_t *out_number)
{
        uint64_t number = 0, low = 0, high = 0;
        NumberResult result = parse(text, kinds[unit].units, &number);
        g_autofree char *quoted = conf_quote(text);
        if (result == NUMBER_MALFORMED)
                return conf_place_error(place, "%s is no number; %s", quoted, kinds[unit].remedy);
        if (result == NUMBER_UNIT)
                return refuse_unit(place, text, unit);
        if (parse(least, kinds[unit].units, &low) != NUMBER_OK ||
            parse(most, kinds[unit].units, &high) != NUMBER_OK)
                g_return_val_if_reached(false);
        if (result == NUMBER_HUGE || number < low || number > high)
                return conf_place_error(place, "%s is out of range; it must be from %s to %s", quoted, least,
                                        most);
        *out_number = number;
        return true;
}

bool
conf_value_choice(const ConfPlace *place, const char *text, const char *choices, unsigned *out_index)
{
        g_auto(GStrv) words = g_strsplit(choices, "|", -1);
        for (unsigned i = 0; words[i]; i++) {
                if (strcmp(words[i], text) == 0) {
                        *out_index = i;
                        return true;
                }
        }
        g_autofree char *quoted = conf_quote(text);
        g_autofree char *list = g_strjoinv(" or ", words);
        const char *nearest = conf_nearest(text, (const char *const *)words);
        if (nearest)
                return conf_place_error(place, "%s is not %s; did you mean \"%s\"?", quoted, list, nearest);
        return conf_place_error(place, "%s is not %s", quoted, list);
}

bool
conf_value_list(const ConfPlace *place, const char *text, GStrv *out_items)
{
        g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(g_free);
        for (const char *at = text; at;) {
                size_t length = strcspn(at, ",");
                g_ptr_array_add(items, g_strstrip(g_strndup(at, length)));
                if (!*(char *)items->pdata[items->len - 1])
                        return conf_place_error(place, "an item of the list is empty; drop the comma");
                at = at[length] ? at + length + 1 : NULL;
        }
        g_ptr_array_add(items, NULL);
        *out_items = (GStrv)g_ptr_array_steal(items, NULL);
        return true;
}
