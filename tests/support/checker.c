/* SPDX-License-Identifier: MIT */
#include "tests/support/checker.h"

#include "tests/support/client.h"
#include "tests/support/live.h"
#include "tests/support/producer.h"

#include <string.h>

/*
 * The record of a message is found by its id, which stands in a header and in the body. What it must look
 * like is made again from id and cluster, so nothing but the counts is kept.
 */

enum {
        PERSISTENT = 2,
        WINDOW = 300,
        CONFIRM_MS = 30000,
        PACE_MS = 5,
        SIZES = 1500,
        LARGE_EVERY = 500,
        LARGE = 30000,
        PORTION = 20000
};

typedef struct {
        uint8_t cluster;   /* index of its name */
        uint8_t confirmed; /* 0 or 1 */
        uint8_t copies;
        uint8_t unmarked; /* copies without x-possible-duplicate */
} Record;

struct Checker {
        char *url;
        char *queue;
        GMutex lock;
        GArray *records;     /* of Record, by id */
        GPtrArray *clusters; /* of char * */
        uint64_t confirmed;
        CheckerVerdict found; /* what collecting counted */
        GThread *thread;
        int stop; /* atomic */
        const char *const *load_clusters;
        unsigned load_per_s;
};

static void
on_confirmed(uint64_t token, void *user_data)
{
        Checker *checker = user_data;
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&checker->lock);

        g_array_index(checker->records, Record, token).confirmed = 1;
        checker->confirmed++;
}

Checker *
checker_new(const char *url, const char *queue)
{
        Checker *checker = g_new0(Checker, 1);

        g_mutex_init(&checker->lock);
        checker->url = g_strdup(url);
        checker->queue = g_strdup(queue);
        checker->records = g_array_new(FALSE, FALSE, sizeof(Record));
        checker->clusters = g_ptr_array_new_with_free_func(g_free);
        return checker;
}

void
checker_free(Checker *checker)
{
        if (checker == NULL)
                return;
        if (checker->thread != NULL)
                checker_stop(checker);
        g_array_unref(checker->records);
        g_ptr_array_unref(checker->clusters);
        g_mutex_clear(&checker->lock);
        g_free(checker->queue);
        g_free(checker->url);
        g_free(checker);
}

const char *
checker_url(const Checker *checker)
{
        return checker->url;
}

/* ---- sending ---- */

static uint8_t
cluster_index(Checker *checker, const char *name)
{
        guint index = 0;

        if (!g_ptr_array_find_with_equal_func(checker->clusters, name, g_str_equal, &index)) {
                index = checker->clusters->len;
                g_ptr_array_add(checker->clusters, g_strdup(name));
        }
        return (uint8_t)index;
}

/* Sizes differ, so that nothing fits by chance. */
static GString *
make_body(uint64_t id, const char *cluster)
{
        GString *body = g_string_new(NULL);
        size_t fill = id % LARGE_EVERY == LARGE_EVERY - 1 ? LARGE : id * 37 % SIZES;

        g_string_append_printf(body, "{\"id\": %" G_GUINT64_FORMAT ", ", id);
        if (*cluster != '\0')
                g_string_append_printf(body, "\"cluster\": \"%s\", ", cluster);
        g_string_append(body, "\"fill\": \"");
        for (size_t i = 0; i < fill; i++)
                g_string_append_c(body, (char)('a' + (id + i) % 26));
        g_string_append(body, "\"}");
        return body;
}

static uint64_t
new_record(Checker *checker, const char *cluster)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&checker->lock);
        Record record = {.cluster = cluster_index(checker, cluster)};

        g_array_append_val(checker->records, record);
        return checker->records->len - 1;
}

static bool
send_one(Checker *checker, Producer *producer, const char *cluster)
{
        uint64_t id = new_record(checker, cluster);
        g_autoptr(GString) body = make_body(id, cluster);
        g_autofree char *message_id = g_strdup_printf("checker-%" G_GUINT64_FORMAT, id);
        amqp_table_entry_t entries[] = {client_entry_int("checker-id", (int64_t)id),
                                        client_entry_text("cluster", cluster)};
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG |
                                                        AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
                                              .delivery_mode = PERSISTENT,
                                              .message_id = amqp_cstring_bytes(message_id),
                                              .headers = {*cluster != '\0' ? 2 : 1, entries}};

        return producer_publish(producer, checker->queue, &properties, (amqp_bytes_t){body->len, body->str},
                                id);
}

void
checker_send(Checker *checker, const char *const *clusters, unsigned count)
{
        g_autoptr(Producer) producer = producer_new(checker->url, on_confirmed, checker);
        unsigned of = g_strv_length((char **)clusters);

        for (unsigned i = 0; i < count; i++) {
                if (!send_one(checker, producer, clusters[i % of]) ||
                    !producer_confirm(producer, WINDOW, CONFIRM_MS))
                        g_error("checker: cannot publish to %s", checker->queue);
        }
        if (!producer_confirm(producer, 0, CONFIRM_MS))
                g_error("checker: %u publishes to %s are not confirmed", producer_unconfirmed(producer),
                        checker->queue);
}

static void *
run_load(void *data)
{
        Checker *checker = data;
        g_autoptr(Producer) producer = producer_new(checker->url, on_confirmed, checker);
        unsigned of = g_strv_length((char **)checker->load_clusters);
        int64_t began_us = g_get_monotonic_time();
        uint64_t sent = 0;

        while (!g_atomic_int_get(&checker->stop)) {
                int64_t due_us = began_us + (int64_t)(sent * G_USEC_PER_SEC / checker->load_per_s);

                if (g_get_monotonic_time() < due_us || producer_unconfirmed(producer) > WINDOW) {
                        g_usleep(1000);
                        producer_confirm(producer, 0, PACE_MS);
                        continue;
                }
                if (!send_one(checker, producer, checker->load_clusters[sent % of]))
                        g_usleep(PACE_MS * 1000); /* no broker now */
                sent++;
        }
        producer_confirm(producer, 0, CONFIRM_MS);
        return NULL;
}

void
checker_start(Checker *checker, const char *const *clusters, unsigned per_s)
{
        g_assert_null(checker->thread);
        checker->load_clusters = clusters;
        checker->load_per_s = per_s;
        g_atomic_int_set(&checker->stop, 0);
        checker->thread = g_thread_new("load", run_load, checker);
}

void
checker_stop(Checker *checker)
{
        g_atomic_int_set(&checker->stop, 1);
        g_thread_join(g_steal_pointer(&checker->thread));
}

uint64_t
checker_confirmed(Checker *checker)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&checker->lock);

        return checker->confirmed;
}

typedef struct {
        Checker *checker;
        uint64_t wanted;
} ConfirmWait;

static bool
has_confirmed(void *data)
{
        ConfirmWait *wait = data;

        return checker_confirmed(wait->checker) >= wait->wanted;
}

void
checker_wait_confirmed(Checker *checker, uint64_t more)
{
        ConfirmWait wait = {checker, checker_confirmed(checker) + more};

        if (!live_wait(CONFIRM_MS, has_confirmed, &wait))
                g_error("checker: the broker confirmed only %" G_GUINT64_FORMAT " messages",
                        checker_confirmed(checker));
}

/* ---- collecting ---- */

static int64_t
read_id(const ClientMessage *message)
{
        const amqp_field_value_t *value = client_message_header(message, "checker-id");

        return value != NULL && value->kind == AMQP_FIELD_KIND_I64 ? value->value.i64 : -1;
}

static bool
is_marked(const ClientMessage *message)
{
        const amqp_field_value_t *value = client_message_header(message, "x-possible-duplicate");

        return value != NULL && value->kind == AMQP_FIELD_KIND_I32 && value->value.i32 == 1;
}

static bool
is_expected_header(amqp_bytes_t name, bool stored)
{
        static const char *const names[] = {"checker-id",
                                            "cluster",
                                            "x-router-seq",
                                            "x-possible-duplicate",
                                            "x-delivery-count", /* a quorum queue's, when it delivers again */
                                            NULL};
        g_autofree char *text = g_strndup(name.bytes, name.len);

        if (g_strv_contains(names, text))
                return true;
        return stored && (g_str_has_prefix(text, "x-router-") || g_str_has_prefix(text, "x-first-death-") ||
                          g_str_equal(text, "x-death"));
}

/* @stored: in a queue of the router's own, where it notes why, or of the broker's dead letters, which does.
 */
static bool
is_altered(const ClientMessage *message, uint64_t id, const char *cluster, bool stored)
{
        const amqp_basic_properties_t *properties = &message->message.properties;
        amqp_flags_t flags =
            AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
        g_autoptr(GString) body = make_body(id, cluster);
        g_autofree char *message_id = g_strdup_printf("checker-%" G_GUINT64_FORMAT, id);
        g_autofree char *named = client_message_header_text(message, "cluster");

        for (int i = 0; i < properties->headers.num_entries; i++) {
                if (!is_expected_header(properties->headers.entries[i].key, stored))
                        return true;
        }
        return message->message.body.len != body->len ||
               memcmp(message->message.body.bytes, body->str, body->len) != 0 ||
               properties->_flags != flags || properties->delivery_mode != PERSISTENT ||
               properties->message_id.len != strlen(message_id) ||
               memcmp(properties->message_id.bytes, message_id, strlen(message_id)) != 0 ||
               g_strcmp0(named != NULL ? named : "", cluster) != 0;
}

/* The router's parking and dead queues, and by the habit of our tests the broker's dead letters. */
static bool
is_for_stored(const char *queue)
{
        return g_str_has_prefix(queue, "cluster-router.") || g_str_has_suffix(queue, ".refused");
}

/* @last_ids: of each cluster, the highest id seen in this queue so far. */
static void
note(Checker *checker, const ClientMessage *message, const char *queue, const char *cluster,
     int64_t *last_ids)
{
        int64_t id = read_id(message);
        bool marked = is_marked(message);
        Record *record = NULL;
        const char *own = NULL;

        if (id < 0 || id >= (int64_t)checker->records->len) {
                checker->found.foreign++;
                return;
        }
        record = &g_array_index(checker->records, Record, id);
        own = checker->clusters->pdata[record->cluster];
        if (cluster != NULL && *own != '\0' && !g_str_equal(own, cluster))
                checker->found.misrouted++;
        if (is_altered(message, (uint64_t)id, own, is_for_stored(queue)))
                checker->found.altered++;
        if (record->copies == 0 && id < last_ids[record->cluster])
                checker->found.reordered++;
        last_ids[record->cluster] = MAX(last_ids[record->cluster], id);
        checker->found.marked += marked;
        record->unmarked += !marked;
        record->copies++;
}

unsigned
checker_collect(Checker *checker, const char *queue, const char *cluster)
{
        return checker_collect_at(checker, checker->url, queue, cluster);
}

unsigned
checker_collect_at(Checker *checker, const char *url, const char *queue, const char *cluster)
{
        g_autoptr(Client) counter = client_new(url);
        g_autofree int64_t *last_ids = g_new0(int64_t, checker->clusters->len + 1);
        uint32_t messages = 0;
        unsigned total = 0;

        while (client_count(counter, queue, &messages, NULL) && messages > 0) {
                g_autoptr(Client) consumer = client_new(url);

                messages = MIN(messages, PORTION);
                client_consume(consumer, queue, (uint16_t)messages);
                for (uint32_t i = 0; i < messages; i++) {
                        g_autoptr(ClientMessage) message = client_next(consumer, CONFIRM_MS);

                        if (message == NULL)
                                g_error("checker: queue %s sends only %u of %u messages", queue, i, messages);
                        note(checker, message, queue, cluster, last_ids);
                        /* In one piece: a quorum queue forgets acks that wait when the channel closes. */
                        if (i == messages - 1)
                                client_ack_upto(consumer, message);
                }
                total += messages;
        }
        return total;
}

/* ---- the verdict ---- */

CheckerVerdict
checker_verdict(Checker *checker)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&checker->lock);
        CheckerVerdict verdict = checker->found;

        verdict.attempted = checker->records->len;
        verdict.confirmed = checker->confirmed;
        for (unsigned id = 0; id < checker->records->len; id++) {
                const Record *record = &g_array_index(checker->records, Record, id);
                unsigned unmarked = record->unmarked > 1 ? record->unmarked - 1U : 0;

                verdict.delivered += record->copies > 0;
                verdict.lost += record->confirmed && record->copies == 0;
                verdict.duplicated_unmarked += unmarked;
                verdict.duplicated_marked += record->copies > 1 ? record->copies - 1U - unmarked : 0;
        }
        return verdict;
}

static void
tell(const CheckerVerdict *verdict)
{
        g_test_message("%" G_GUINT64_FORMAT " attempted, %" G_GUINT64_FORMAT " confirmed, %" G_GUINT64_FORMAT
                       " delivered, %" G_GUINT64_FORMAT " lost, %" G_GUINT64_FORMAT " + %" G_GUINT64_FORMAT
                       " duplicated with + without mark, %" G_GUINT64_FORMAT " marked, %" G_GUINT64_FORMAT
                       " misrouted, %" G_GUINT64_FORMAT " altered, %" G_GUINT64_FORMAT
                       " reordered, %" G_GUINT64_FORMAT " foreign",
                       verdict->attempted, verdict->confirmed, verdict->delivered, verdict->lost,
                       verdict->duplicated_marked, verdict->duplicated_unmarked, verdict->marked,
                       verdict->misrouted, verdict->altered, verdict->reordered, verdict->foreign);
}

void
checker_assert_safe(Checker *checker)
{
        CheckerVerdict verdict = checker_verdict(checker);

        tell(&verdict);
        g_assert_cmpuint(verdict.lost, ==, 0);
        g_assert_cmpuint(verdict.duplicated_unmarked, ==, 0);
        g_assert_cmpuint(verdict.misrouted, ==, 0);
        g_assert_cmpuint(verdict.altered, ==, 0);
        g_assert_cmpuint(verdict.foreign, ==, 0);
}

void
checker_assert_perfect(Checker *checker)
{
        CheckerVerdict verdict = checker_verdict(checker);

        checker_assert_safe(checker);
        g_assert_cmpuint(verdict.duplicated_marked, ==, 0);
        g_assert_cmpuint(verdict.reordered, ==, 0);
}
