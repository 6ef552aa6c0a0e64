/* SPDX-License-Identifier: MIT */
/*
 * The ledger's promises, one by one, and then all of them under random schedules against a model of the
 * brokers (tests/support/ledger_model.h).
 *
 * The environment: LEDGER_SCHEDULES=N for another number of them (100000), LEDGER_SEED=N to begin with that
 * one. A failure names the seed of its schedule, so that LEDGER_SEED with LEDGER_SCHEDULES=1 repeats it
 * alone.
 */
#include "router/ledger.h"
#include "tests/support/ledger_model.h"

#include <string.h>

enum { PATIENCE_US = 1000, EVENTS_MIN = 5, EVENTS_MAX = 60 };

typedef struct {
        Ledger *ledger;
        Window *window;
        Flight flights[200];
        size_t dropped;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer user_data)
{
        fixture->ledger = ledger_new();
        fixture->window = window_new();
}

static void
count_drop(Flight *flight, void *user_data)
{
        ((Fixture *)user_data)->dropped++;
}

static void
tear_down(Fixture *fixture, gconstpointer user_data)
{
        ledger_reset(fixture->ledger, count_drop, fixture);
        while (window_abandon(fixture->window))
                ;
        ledger_free(fixture->ledger);
        window_free(fixture->window);
}

static void
deliver_more(Fixture *fixture, unsigned from, unsigned to)
{
        for (unsigned tag = from; tag <= to; tag++)
                g_assert_true(ledger_add(fixture->ledger, tag, &fixture->flights[tag]));
}

/* Deliveries 1 to @count, which are then flights[1] to flights[count]. */
static void
deliver(Fixture *fixture, unsigned count)
{
        deliver_more(fixture, 1, count);
}

static void
settle(Fixture *fixture, unsigned tag, int64_t now_us)
{
        ledger_settle(&fixture->flights[tag], now_us);
}

#define assert_tells(fixture, now_us, expected_kind, expected_tag)                                           \
        G_STMT_START                                                                                         \
        {                                                                                                    \
                uint64_t told_tag = 0;                                                                       \
                g_assert_cmpint(ledger_next_ack((fixture)->ledger, (now_us), PATIENCE_US, &told_tag), ==,    \
                                (expected_kind));                                                            \
                g_assert_cmpuint(told_tag, ==, (expected_tag));                                              \
        }                                                                                                    \
        G_STMT_END

#define assert_tells_nothing(fixture, now_us) assert_tells(fixture, now_us, LEDGER_ACK_NONE, 0)

static void
assert_pops(Fixture *fixture, unsigned from, unsigned to)
{
        for (unsigned tag = from; tag <= to; tag++)
                g_assert_true(ledger_pop(fixture->ledger) == &fixture->flights[tag]);
        g_assert_null(ledger_pop(fixture->ledger));
}

static void
test_prefix(Fixture *fixture, gconstpointer user_data)
{
        deliver(fixture, 5);
        settle(fixture, 3, 0);
        settle(fixture, 1, 0);
        settle(fixture, 2, 0);
        settle(fixture, 5, 0);
        assert_tells(fixture, 0, LEDGER_ACK_UPTO, 3);
        assert_tells_nothing(fixture, 0);
        assert_pops(fixture, 1, 3);
        g_assert_cmpuint(ledger_open_count(fixture->ledger), ==, 1);
        g_assert_cmpuint(ledger_count(fixture->ledger), ==, 2);
}

static void
test_patience(Fixture *fixture, gconstpointer user_data)
{
        deliver(fixture, 4);
        settle(fixture, 2, 100);
        settle(fixture, 4, 50);
        assert_tells_nothing(fixture, 50 + PATIENCE_US - 1);
        assert_tells(fixture, 50 + PATIENCE_US, LEDGER_ACK_ONE, 4);
        assert_tells(fixture, 50 + PATIENCE_US, LEDGER_ACK_NONE, 0);
        settle(fixture, 3, 50 + PATIENCE_US);
        assert_tells(fixture, 50 + PATIENCE_US, LEDGER_ACK_ONE, 2);
        assert_tells(fixture, 50 + PATIENCE_US, LEDGER_ACK_ONE, 3);
        settle(fixture, 1, 50 + PATIENCE_US);
        assert_tells(fixture, 50 + PATIENCE_US, LEDGER_ACK_UPTO, 1);
        deliver_more(fixture, 5, 6);
        settle(fixture, 6, 1000 + PATIENCE_US);
        assert_tells_nothing(fixture, 1000 + PATIENCE_US);
}

/* However long the gap stays, what goes on behind it does not pile up. */
static void
test_beyond_a_gap(Fixture *fixture, gconstpointer user_data)
{
        deliver(fixture, 4);
        settle(fixture, 3, 0);
        assert_tells(fixture, PATIENCE_US, LEDGER_ACK_ONE, 3);
        assert_pops(fixture, 3, 3);
        settle(fixture, 2, PATIENCE_US);
        assert_tells(fixture, PATIENCE_US, LEDGER_ACK_ONE, 2);
        assert_pops(fixture, 2, 2);
        g_assert_cmpuint(ledger_open_count(fixture->ledger), ==, 2);
        settle(fixture, 1, PATIENCE_US);
        assert_tells(fixture, PATIENCE_US, LEDGER_ACK_UPTO, 1);
        assert_pops(fixture, 1, 1);
}

/* RabbitMQ closes the channel (406) over a tag it knows no more. */
static void
test_told_once(Fixture *fixture, gconstpointer user_data)
{
        deliver(fixture, 3);
        settle(fixture, 2, 0);
        assert_tells(fixture, PATIENCE_US, LEDGER_ACK_ONE, 2);
        settle(fixture, 1, PATIENCE_US);
        assert_tells(fixture, PATIENCE_US, LEDGER_ACK_UPTO, 1);
        assert_tells_nothing(fixture, 10 * PATIENCE_US);
        g_assert_true(ledger_pop(fixture->ledger) == &fixture->flights[2]);
        assert_pops(fixture, 1, 1);
}

static void
test_hand_back(Fixture *fixture, gconstpointer user_data)
{
        deliver(fixture, 3);
        ledger_hand_back(&fixture->flights[2]);
        assert_tells(fixture, 0, LEDGER_BACK_ONE, 2);
        assert_tells_nothing(fixture, 0);
        settle(fixture, 1, 0);
        settle(fixture, 3, 0);
        assert_tells(fixture, 0, LEDGER_ACK_UPTO, 3);
        g_assert_true(ledger_pop(fixture->ledger) == &fixture->flights[2]);
        g_assert_true(ledger_pop(fixture->ledger) == &fixture->flights[1]);
        assert_pops(fixture, 3, 3);
}

/* A broken-off pass gives back everything at once; its messages must not stay in memory. */
static void
test_hand_back_all(Fixture *fixture, gconstpointer user_data)
{
        deliver(fixture, 2);
        ledger_hand_back(&fixture->flights[1]);
        ledger_hand_back(&fixture->flights[2]);
        assert_tells(fixture, 0, LEDGER_BACK_ONE, 1);
        assert_tells(fixture, 0, LEDGER_BACK_ONE, 2);
        assert_tells_nothing(fixture, 0);
        g_assert_true(ledger_pop(fixture->ledger) == &fixture->flights[2]);
        assert_pops(fixture, 1, 1);
        g_assert_cmpuint(ledger_count(fixture->ledger), ==, 0);
}

static void
test_out_of_step(Fixture *fixture, gconstpointer user_data)
{
        deliver(fixture, 2);
        g_assert_false(ledger_add(fixture->ledger, 2, &fixture->flights[3]));
        g_assert_false(ledger_add(fixture->ledger, 4, &fixture->flights[3]));
        g_assert_false(ledger_add(fixture->ledger, 0, &fixture->flights[3]));
        g_assert_cmpuint(ledger_count(fixture->ledger), ==, 2);
}

static void
test_reset(Fixture *fixture, gconstpointer user_data)
{
        deliver(fixture, 3);
        window_publish(fixture->window, &fixture->flights[2]);
        settle(fixture, 3, 0);
        ledger_reset(fixture->ledger, count_drop, fixture);
        g_assert_cmpuint(fixture->dropped, ==, 2);
        g_assert_cmpuint(ledger_count(fixture->ledger), ==, 0);
        g_assert_true(window_confirm(fixture->window, 1, false) == &fixture->flights[2]);
        g_assert_null(fixture->flights[2].ledger);
        deliver(fixture, 1);
        assert_tells_nothing(fixture, 10 * PATIENCE_US);
}

static void
test_window_order(Fixture *fixture, gconstpointer user_data)
{
        deliver(fixture, 4);
        for (unsigned i = 1; i <= 4; i++)
                window_publish(fixture->window, &fixture->flights[5 - i]);
        g_assert_true(window_confirm(fixture->window, 2, false) == &fixture->flights[3]);
        g_assert_null(window_confirm(fixture->window, 2, false));
        g_assert_true(window_confirm(fixture->window, 3, true) == &fixture->flights[4]);
        g_assert_true(window_confirm(fixture->window, 3, true) == &fixture->flights[2]);
        g_assert_null(window_confirm(fixture->window, 3, true));
        g_assert_null(window_confirm(fixture->window, 5, true));
        g_assert_true(window_find(fixture->window, 4) == &fixture->flights[1]);
        g_assert_true(window_abandon(fixture->window) == &fixture->flights[1]);
        g_assert_null(window_abandon(fixture->window));
        g_assert_cmpuint(window_next_seq(fixture->window), ==, 1);
}

/* Its outcome comes after its channel has gone: the broker has its original again, so nobody is told. */
static void
test_orphan(Fixture *fixture, gconstpointer user_data)
{
        deliver(fixture, 1);
        window_publish(fixture->window, &fixture->flights[1]);
        ledger_reset(fixture->ledger, count_drop, fixture);
        g_assert_true(window_confirm(fixture->window, 1, false) == &fixture->flights[1]);
        ledger_settle(&fixture->flights[1], 0);
        g_assert_cmpint(fixture->flights[1].state, ==, FLIGHT_SETTLED);
        g_assert_cmpuint(ledger_open_count(fixture->ledger), ==, 0);
        assert_tells_nothing(fixture, 10 * PATIENCE_US);
}

static void
test_free_nothing(void)
{
        ledger_free(NULL);
        window_free(NULL);
}

/* The rings begin with 64 places. */
static void
test_many(Fixture *fixture, gconstpointer user_data)
{
        deliver(fixture, 40);
        for (unsigned i = 1; i <= 40; i++)
                settle(fixture, i, 0);
        assert_tells(fixture, 0, LEDGER_ACK_UPTO, 40);
        assert_pops(fixture, 1, 40);
        for (unsigned tag = 41; tag < 200; tag++) {
                g_assert_true(ledger_add(fixture->ledger, tag, &fixture->flights[tag]));
                window_publish(fixture->window, &fixture->flights[tag]);
        }
        for (unsigned tag = 41; tag < 200; tag++) {
                g_assert_true(window_confirm(fixture->window, 159, true) == &fixture->flights[tag]);
                settle(fixture, tag, 0);
        }
        assert_tells(fixture, 0, LEDGER_ACK_UPTO, 199);
        assert_pops(fixture, 41, 199);
}

/* ---- random schedules ---- */

static uint64_t
number_from_environment(const char *name, uint64_t fallback)
{
        const char *text = g_getenv(name);

        return text ? g_ascii_strtoull(text, NULL, 10) : fallback;
}

/* splitmix64: small, and every seed gives another sequence. */
static uint64_t
next_random(uint64_t *state)
{
        uint64_t z = (*state += 0x9e3779b97f4a7c15u);

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

static const char *
run_schedule(uint64_t seed)
{
        uint8_t bytes[2 * EVENTS_MAX];
        uint64_t state = seed;
        size_t count = EVENTS_MIN + next_random(&state) % (EVENTS_MAX - EVENTS_MIN + 1);

        for (size_t i = 0; i < sizeof(bytes); i += sizeof(state)) {
                uint64_t random = next_random(&state);

                memcpy(bytes + i, &random, MIN(sizeof(random), sizeof(bytes) - i));
        }
        return ledger_model_run(bytes, 2 * count);
}

static void
test_random_schedules(void)
{
        uint64_t seed = number_from_environment("LEDGER_SEED", g_random_int());
        uint64_t count = number_from_environment("LEDGER_SCHEDULES", 100000);

        g_test_message("%" G_GUINT64_FORMAT " schedules from LEDGER_SEED=%" G_GUINT64_FORMAT, count, seed);
        for (uint64_t i = 0; i < count; i++) {
                const char *broken = run_schedule(seed + i);

                if (broken)
                        g_error("broken: \"%s\"; LEDGER_SEED=%" G_GUINT64_FORMAT
                                " LEDGER_SCHEDULES=1 repeats it",
                                broken, seed + i);
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/ledger/" name, Fixture, NULL, set_up, function, tear_down)
        ADD("acknowledges-only-the-settled-prefix-at-once", test_prefix);
        ADD("acknowledges-beyond-a-gap-only-after-a-wait", test_patience);
        ADD("lets-go-of-what-is-acknowledged-beyond-a-gap", test_beyond_a_gap);
        ADD("tells-a-tag-only-once", test_told_once);
        ADD("gives-back-alone-and-at-once", test_hand_back);
        ADD("lets-go-of-what-was-all-given-back", test_hand_back_all);
        ADD("refuses-a-tag-out-of-step", test_out_of_step);
        ADD("reset-drops-all-but-the-published", test_reset);
        ADD("an-outcome-without-a-channel-is-told-to-nobody", test_orphan);
        ADD("confirms-come-in-any-order", test_window_order);
        ADD("grows-beyond-its-first-size", test_many);
#undef ADD
        g_test_add_func("/ledger/frees-nothing-gladly", test_free_nothing);
        g_test_add_func("/ledger/keeps-every-promise-under-random-schedules", test_random_schedules);
        return g_test_run();
}
