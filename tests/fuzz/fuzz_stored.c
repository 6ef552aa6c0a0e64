/* SPDX-License-Identifier: MIT */
#include "router/ctl/fields.h"
#include "router/ctl/message_file.h"
#include "router/ctl/stored.h"

#include <string.h>

/*
 * Any message as one that lies in a parking or dead queue, for clusterctl to show: what begins with "{" is
 * the file of one, anything else its property bytes. What is shown is text, and headers that were JSON once
 * come back from it as they were.
 */

enum { NOW_S = 1700000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const char *text)
{
        g_assert_true(text && g_utf8_validate(text, -1, NULL));
}

static void
check_stored(const Message *message)
{
        int64_t now_unix_ms = NOW_S * 1000ll;
        g_autoptr(Stored) stored = stored_read(message, now_unix_ms);
        g_autofree char *age = stored_age_text(stored->time_unix_ms, now_unix_ms);
        Selection selection = {stored->id, stored->reason, stored->cluster, stored->method, 0};

        g_assert_cmpuint(strlen(stored->id), ==, STORED_ID_LENGTH);
        check_text(stored->reason);
        check_text(stored->cluster);
        check_text(stored->exchange);
        check_text(stored->key);
        check_text(stored->method);
        check_text(age);
        json_decref(stored_age_json(stored->time_unix_ms, now_unix_ms));
        g_assert_false(selection_is_all(&selection));
        g_assert_true(selection_has(&selection, stored, now_unix_ms));
}

static void
check_headers(const Message *message)
{
        json_t *first = fields_to_json(&message->properties->headers);
        amqp_pool_t pool;

        init_amqp_pool(&pool, 4096);

        amqp_table_t table = fields_from_json(first, &pool);
        json_t *second = fields_to_json(&table);

        g_assert_true(json_equal(first, second));
        json_decref(second);
        json_decref(first);
        empty_amqp_pool(&pool);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        bool is_file = size > 0 && data[0] == '{';
        g_autoptr(GError) error = NULL;
        g_autoptr(Message) message = is_file
                                         ? message_file_parse((const char *)data, size, "queue", &error)
                                         : message_new(bytes_of("exchange"), bytes_of("key"),
                                                       (amqp_bytes_t){.len = size, .bytes = (void *)data}, 0);

        g_assert_true(message || error || !is_file);
        if (!message)
                return 0;
        check_stored(message);
        if (message->properties->_flags & AMQP_BASIC_HEADERS_FLAG)
                check_headers(message);
        return 0;
}
