/* SPDX-License-Identifier: MIT */
#include "router/target.h"

#include <string.h>

enum { RECEIVED_US = 5000000, NOW_UNIX_MS = 1700000000000 };

static amqp_bytes_t
text(const char *value)
{
        return amqp_cstring_bytes(value);
}

static Message *
make_message(amqp_basic_properties_t *properties, amqp_bytes_t exchange, amqp_bytes_t key)
{
        char buffer[2048];
        amqp_bytes_t raw = {.len = sizeof(buffer), .bytes = buffer};
        int length = amqp_encode_properties(AMQP_BASIC_CLASS, properties, raw);

        g_assert_cmpint(length, >, 0);
        raw.len = (size_t)length;

        Message *message = message_new(exchange, key, raw, 0);

        g_assert_nonnull(message);
        message->received_us = RECEIVED_US;
        return message;
}

static Delivery *
make_delivery(amqp_bytes_t exchange, amqp_bytes_t key, uint64_t arrival)
{
        amqp_basic_properties_t properties = {0};

        return delivery_new(make_message(&properties, exchange, key), NULL, false, arrival, NOW_UNIX_MS);
}

static Delivery *
make_expiring(const char *expiration)
{
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_EXPIRATION_FLAG,
                                              .expiration = text(expiration)};

        return delivery_new(make_message(&properties, text(""), text("q")), NULL, false, 0, NOW_UNIX_MS);
}

/* A delivery out of a parking queue that was put there a second ago. */
static Delivery *
make_parked(const char *expiration)
{
        amqp_table_entry_t entries[] = {
            {text("x-router-time"),
             {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("2023-11-14T22:13:19.000Z")}},
            {text("x-router-expiration"), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text(expiration)}},
        };
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                              .headers = {.num_entries = 2, .entries = entries}};
        Flow *origin = (Flow *)entries; /* only looked at for NULL */

        return delivery_new(make_message(&properties, text(""), text("q")), origin, true, 0, NOW_UNIX_MS);
}

/* ---- lists ---- */

static void
assert_order(const GQueue *list, const char *expected)
{
        g_autoptr(GString) order = g_string_new(NULL);

        for (const GList *link = list->head; link; link = link->next) {
                g_string_append_printf(order, "%d ", (int)((const Delivery *)link->data)->arrival);
                g_assert_true(((const Delivery *)link->data)->holder == list);
        }
        g_assert_cmpstr(order->str, ==, expected);
        g_assert_cmpuint(list->length, ==, strlen(expected) / 2);
}

typedef struct {
        GQueue list;
        GQueue other;
        Delivery *deliveries[6]; /* by arrival */
} Lists;

static void
set_up(Lists *lists, gconstpointer user_data)
{
        for (unsigned i = 0; i < G_N_ELEMENTS(lists->deliveries); i++)
                lists->deliveries[i] = make_delivery(text(""), text(""), i);
        g_queue_init(&lists->list);
        g_queue_init(&lists->other);
}

static void
tear_down(Lists *lists, gconstpointer user_data)
{
        for (unsigned i = 0; i < G_N_ELEMENTS(lists->deliveries); i++)
                delivery_free(lists->deliveries[i]);
        g_assert_cmpuint(lists->list.length, ==, 0);
        g_assert_cmpuint(lists->other.length, ==, 0);
}

static void
hold_all(Lists *lists, const char *order)
{
        for (; *order; order++)
                delivery_hold(lists->deliveries[*order - '0'], &lists->list);
}

static void
test_order(Lists *lists, gconstpointer user_data)
{
        static const char *const orders[] = {"012345", "543210", "305142", "240513", "501234"};

        for (unsigned i = 0; i < G_N_ELEMENTS(orders); i++) {
                hold_all(lists, orders[i]);
                assert_order(&lists->list, "0 1 2 3 4 5 ");
                for (unsigned k = 0; k < G_N_ELEMENTS(lists->deliveries); k++)
                        delivery_unhold(lists->deliveries[k]);
        }
}

static void
test_again(Lists *lists, gconstpointer user_data)
{
        hold_all(lists, "012345");
        for (unsigned i = 0; i < G_N_ELEMENTS(lists->deliveries); i++) {
                delivery_hold(lists->deliveries[i], &lists->list);
                assert_order(&lists->list, "0 1 2 3 4 5 ");
        }
}

static void
test_moves(Lists *lists, gconstpointer user_data)
{
        hold_all(lists, "012345");
        delivery_hold(lists->deliveries[4], &lists->other);
        delivery_hold(lists->deliveries[1], &lists->other);
        assert_order(&lists->list, "0 2 3 5 ");
        assert_order(&lists->other, "1 4 ");
        delivery_unhold(lists->deliveries[1]);
        delivery_unhold(lists->deliveries[1]);
        g_assert_null(lists->deliveries[1]->holder);
        assert_order(&lists->other, "4 ");
}

static void
test_pending(void)
{
        Conf conf = {.retry_max_ms = 1000};
        Target target;
        Delivery *delivery = make_delivery(text(""), text(""), 0);

        target_init(&target, TARGET_QUEUE, NULL, NULL, "", "q", "", true, &conf);
        g_assert_false(target.declared);
        g_assert_cmpuint(target_pending(&target), ==, 0);
        delivery_hold(delivery, &target.held);
        target.unconfirmed.messages = 3;
        g_assert_cmpuint(target_pending(&target), ==, 4);
        delivery_free(delivery);
        target_clear(&target);
        target_init(&target, TARGET_DESTINATION, NULL, NULL, "e", "k", "", false, &conf);
        g_assert_true(target.declared);
        target_clear(&target);
}

/* ---- addresses ---- */

/* The address of a delivery with that exchange and key, by those templates; "!" if refused. */
static char *
address(const char *exchange_template, const char *key_template, amqp_bytes_t exchange, amqp_bytes_t key)
{
        Conf conf = {.retry_max_ms = 1000};
        ConfRoute route = {.queue = (char *)"shared"};
        Target target;
        Delivery *delivery = make_delivery(exchange, key, 0);
        g_autoptr(GString) scratch = g_string_new("left over");
        amqp_bytes_t to, under;

        delivery->host = g_strdup("10.0.0.11");
        target_init(&target, TARGET_DESTINATION, NULL, NULL, exchange_template, key_template, "east", false,
                    &conf);

        bool fits = target_address(&target, delivery, &route, scratch, &to, &under);
        char *result = fits ? g_strdup_printf("%.*s/%.*s", (int)to.len, (char *)to.bytes, (int)under.len,
                                              (char *)under.bytes)
                            : g_strdup("!");

        delivery_free(delivery);
        target_clear(&target);
        return result;
}

static void
test_placeholders(void)
{
        static const struct {
                const char *exchange, *key, *expected;
        } rows[] = {
            {"", "{queue}.{cluster}", "/shared.east"},
            {"{exchange}", "{key}", "openstack/volume.a"},
            {"x-{cluster}", "{host}.{key}", "x-east/10.0.0.11.volume.a"},
            {"{queue}{exchange}{key}{cluster}{host}", "", "sharedopenstackvolume.aeast10.0.0.11/"},
            {"plain", "key", "plain/key"},
            {"", "", "/"},
            {"{{queue}}", "{que", "{shared}/{que"},
            {"{unknown}", "}{", "{unknown}/}{"},
        };

        for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *got =
                    address(rows[i].exchange, rows[i].key, text("openstack"), text("volume.a"));

                g_assert_cmpstr(got, ==, rows[i].expected);
        }
}

/* What stands in a message is data: it is not looked through for placeholders (D5). */
static void
test_values_are_data(void)
{
        g_autofree char *got = address("{exchange}", "{key}", text("{cluster}"), text("{host}"));

        g_assert_cmpstr(got, ==, "{cluster}/{host}");
}

static void
test_empty_values(void)
{
        Conf conf = {.retry_max_ms = 1000};
        ConfRoute route = {.queue = (char *)"shared"};
        Delivery nobody = {0};
        Target target;
        g_autoptr(GString) scratch = g_string_new(NULL);
        amqp_bytes_t exchange, key;

        target_init(&target, TARGET_PARKING, NULL, NULL, "{exchange}", "{key}{host}{cluster}", "", true,
                    &conf);
        g_assert_true(target_address(&target, &nobody, &route, scratch, &exchange, &key));
        g_assert_cmpuint(exchange.len + key.len, ==, 0);
        target_clear(&target);
}

static void
test_long_names(void)
{
        g_autofree char *longest = g_strnfill(255, 'k');
        g_autofree char *whole = address("{exchange}", "{key}", text(longest), text(longest));
        g_autofree char *exchange = address("{exchange}x", "{key}", text(longest), text("k"));
        g_autofree char *key = address("{exchange}", "{key}.", text("e"), text(longest));
        g_autofree char *both = address("", "{exchange}{key}", text(longest), text(longest));

        g_assert_cmpuint(strlen(whole), ==, 255 + 1 + 255);
        g_assert_cmpstr(exchange, ==, "!");
        g_assert_cmpstr(key, ==, "!");
        g_assert_cmpstr(both, ==, "!");
}

static void
test_nul_bytes(void)
{
        Conf conf = {.retry_max_ms = 1000};
        ConfRoute route = {.queue = (char *)"shared"};
        Target target;
        Delivery *delivery = make_delivery(text(""), (amqp_bytes_t){.len = 3, .bytes = "a\0b"}, 0);
        g_autoptr(GString) scratch = g_string_new(NULL);
        amqp_bytes_t exchange, key;

        target_init(&target, TARGET_DESTINATION, NULL, NULL, "", "{key}.{cluster}", "east", false, &conf);
        g_assert_true(target_address(&target, delivery, &route, scratch, &exchange, &key));
        g_assert_cmpmem(key.bytes, key.len, "a\0b.east", 8);
        delivery_free(delivery);
        target_clear(&target);
}

/* ---- expiration ---- */

static void
test_no_expiration(void)
{
        Delivery *delivery = make_delivery(text(""), text(""), 0);

        g_assert_cmpint(delivery_ttl_ms(delivery, RECEIVED_US), ==, -1);
        g_assert_false(delivery_is_expired(delivery, INT64_MAX));
        delivery_free(delivery);
}

static void
test_expiration(void)
{
        Delivery *delivery = make_expiring("1000");

        g_assert_cmpint(delivery_ttl_ms(delivery, RECEIVED_US), ==, 1000);
        g_assert_cmpint(delivery_ttl_ms(delivery, RECEIVED_US + 400 * 1000), ==, 600);
        g_assert_false(delivery_is_expired(delivery, RECEIVED_US + 1000 * 1000 - 1));
        g_assert_true(delivery_is_expired(delivery, RECEIVED_US + 1000 * 1000));
        g_assert_cmpint(delivery_ttl_ms(delivery, RECEIVED_US + 9000 * 1000), ==, 0);
        delivery_free(delivery);
}

/* "0" means: only if it can be taken at once. That is for the next queue to decide. */
static void
test_zero_expiration(void)
{
        Delivery *delivery = make_expiring("0");

        g_assert_cmpint(delivery_ttl_ms(delivery, RECEIVED_US + 5), ==, 0);
        g_assert_false(delivery_is_expired(delivery, RECEIVED_US + 60 * 1000 * 1000));
        delivery_free(delivery);
}

static void
test_parked_expiration(void)
{
        Delivery *waiting = make_parked("5000");
        Delivery *over = make_parked("800");
        Delivery *zero = make_parked("0");

        g_assert_cmpint(delivery_ttl_ms(waiting, RECEIVED_US), ==, 4000);
        g_assert_false(delivery_is_expired(waiting, RECEIVED_US + 3999 * 1000));
        g_assert_true(delivery_is_expired(waiting, RECEIVED_US + 4000 * 1000));
        g_assert_true(delivery_is_expired(over, RECEIVED_US));
        g_assert_cmpint(delivery_ttl_ms(over, RECEIVED_US), ==, 0);
        g_assert_true(delivery_is_expired(zero, RECEIVED_US));
        delivery_free(waiting);
        delivery_free(over);
        delivery_free(zero);
}

/* Whatever a hostile header says, nothing overflows. */
static void
test_hostile_expiration(void)
{
        static const char *const never[] = {"", "-1", "1s", "12 ", "99999999999999999999999", "abc"};

        for (unsigned i = 0; i < G_N_ELEMENTS(never); i++) {
                Delivery *delivery = make_expiring(never[i]);

                g_assert_cmpint(delivery_ttl_ms(delivery, RECEIVED_US), ==, -1);
                delivery_free(delivery);
        }
        for (int digits = 1; digits < 25; digits++) {
                g_autofree char *nines = g_strnfill((gsize)digits, '9');
                Delivery *given = make_expiring(nines), *parked = make_parked(nines);

                g_assert_false(delivery_is_expired(given, RECEIVED_US));
                g_assert_cmpint(delivery_ttl_ms(given, RECEIVED_US), >=, -1);
                g_assert_cmpint(delivery_ttl_ms(parked, RECEIVED_US), >=, -1);
                delivery_free(given);
                delivery_free(parked);
        }
}

static void
test_doubt(void)
{
        amqp_basic_properties_t properties = {0};
        Message *message = make_message(&properties, text(""), text(""));

        message->redelivered = true;

        Delivery *again = delivery_new(message, NULL, false, 7, NOW_UNIX_MS);
        Delivery *first = make_delivery(text(""), text(""), 8);

        g_assert_true(again->doubtful);
        g_assert_false(first->doubtful);
        delivery_free(again);
        delivery_free(first);
        delivery_free(NULL);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/target/" name, Lists, NULL, set_up, function, tear_down)
        ADD("holds-by-arrival-whatever-the-order", test_order);
        ADD("holding-again-changes-nothing", test_again);
        ADD("a-delivery-stands-in-one-list", test_moves);
#undef ADD
        g_test_add_func("/target/counts-what-is-on-its-way", test_pending);
        g_test_add_func("/target/fills-in-every-placeholder", test_placeholders);
        g_test_add_func("/target/takes-values-as-data", test_values_are_data);
        g_test_add_func("/target/fills-in-nothing-for-absent-values", test_empty_values);
        g_test_add_func("/target/refuses-names-beyond-255-bytes", test_long_names);
        g_test_add_func("/target/keeps-nul-bytes", test_nul_bytes);
        g_test_add_func("/target/without-expiration-never-expires", test_no_expiration);
        g_test_add_func("/target/expires-on-time", test_expiration);
        g_test_add_func("/target/leaves-expiration-zero-to-the-next-queue", test_zero_expiration);
        g_test_add_func("/target/counts-the-time-in-a-parking-queue", test_parked_expiration);
        g_test_add_func("/target/survives-any-expiration", test_hostile_expiration);
        g_test_add_func("/target/doubts-what-was-redelivered", test_doubt);
        return g_test_run();
}
