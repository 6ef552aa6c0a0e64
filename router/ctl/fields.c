/* SPDX-License-Identifier: MIT */
/*
 * Tables nest, so this recurses; the frame size bounds how deep a table from a broker can be, jansson how
 * deep a text can.
 */
#include "router/ctl/fields.h"

#include <math.h>

/* ---- to JSON ---- */

json_t *
fields_text(amqp_bytes_t bytes)
{
        g_autofree char *valid = g_utf8_make_valid(bytes.len ? bytes.bytes : "", (gssize)bytes.len);

        return json_string(valid);
}

static json_t *
array_to_json(const amqp_array_t *array)
{
        json_t *list = json_array();

        for (int i = 0; i < array->num_entries; i++)
                json_array_append_new(list, fields_value_to_json(&array->entries[i]));
        return list;
}

static json_t *
real_to_json(double value)
{
        return isfinite(value) ? json_real(value) : json_null();
}

json_t *
fields_value_to_json(const amqp_field_value_t *value)
{
        switch (value->kind) {
        case AMQP_FIELD_KIND_BOOLEAN:
                return json_boolean(value->value.boolean);
        case AMQP_FIELD_KIND_I8:
                return json_integer(value->value.i8);
        case AMQP_FIELD_KIND_U8:
                return json_integer(value->value.u8);
        case AMQP_FIELD_KIND_I16:
                return json_integer(value->value.i16);
        case AMQP_FIELD_KIND_U16:
                return json_integer(value->value.u16);
        case AMQP_FIELD_KIND_I32:
                return json_integer(value->value.i32);
        case AMQP_FIELD_KIND_U32:
                return json_integer(value->value.u32);
        case AMQP_FIELD_KIND_I64:
        case AMQP_FIELD_KIND_U64:
        case AMQP_FIELD_KIND_TIMESTAMP:
                return json_integer(value->value.i64);
        case AMQP_FIELD_KIND_F32:
                return real_to_json((double)value->value.f32);
        case AMQP_FIELD_KIND_F64:
                return real_to_json(value->value.f64);
        case AMQP_FIELD_KIND_UTF8:
        case AMQP_FIELD_KIND_BYTES:
                return fields_text(value->value.bytes);
        case AMQP_FIELD_KIND_TABLE:
                return fields_to_json(&value->value.table);
        case AMQP_FIELD_KIND_ARRAY:
                return array_to_json(&value->value.array);
        default:
                return json_null();
        }
}

json_t *
fields_to_json(const amqp_table_t *table)
{
        json_t *object = json_object();

        for (int i = 0; i < table->num_entries; i++) {
                const amqp_table_entry_t *entry = &table->entries[i];
                g_autofree char *key =
                    g_utf8_make_valid(entry->key.len ? entry->key.bytes : "", (gssize)entry->key.len);

                json_object_set_new(object, key, fields_value_to_json(&entry->value));
        }
        return object;
}

/* ---- from JSON ---- */

static amqp_field_value_t value_from_json(const json_t *value, amqp_pool_t *pool);

static amqp_bytes_t
borrow(const char *text, size_t length)
{
        return (amqp_bytes_t){.len = length, .bytes = (void *)text};
}

static amqp_array_t
array_from_json(const json_t *list, amqp_pool_t *pool)
{
        size_t count = json_array_size(list);
        amqp_array_t array = {.num_entries = (int)count,
                              .entries = amqp_pool_alloc(pool, sizeof(*array.entries) * MAX(count, 1))};

        for (size_t i = 0; i < count; i++)
                array.entries[i] = value_from_json(json_array_get(list, i), pool);
        return array;
}

static amqp_field_value_t
value_from_json(const json_t *value, amqp_pool_t *pool)
{
        switch (json_typeof(value)) {
        case JSON_STRING:
                return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_UTF8,
                                            .value.bytes =
                                                borrow(json_string_value(value), json_string_length(value))};
        case JSON_INTEGER:
                return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_I64,
                                            .value.i64 = json_integer_value(value)};
        case JSON_REAL:
                return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_F64, .value.f64 = json_real_value(value)};
        case JSON_TRUE:
        case JSON_FALSE:
                return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_BOOLEAN,
                                            .value.boolean = json_is_true(value)};
        case JSON_OBJECT:
                return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_TABLE,
                                            .value.table = fields_from_json(value, pool)};
        case JSON_ARRAY:
                return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_ARRAY,
                                            .value.array = array_from_json(value, pool)};
        case JSON_NULL:
                break;
        }
        return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_VOID};
}

amqp_table_t
fields_from_json(const json_t *object, amqp_pool_t *pool)
{
        size_t count = json_object_size(object);
        amqp_table_t table = {.entries = amqp_pool_alloc(pool, sizeof(*table.entries) * MAX(count, 1))};
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)object, key, value)
        {
                table.entries[table.num_entries++] = (amqp_table_entry_t){
                    .key = amqp_cstring_bytes(key), .value = value_from_json(value, pool)};
        }
        return table;
}
