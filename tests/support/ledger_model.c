/* SPDX-License-Identifier: MIT */

/*
 * The model knows messages by number, in the order in which they were delivered, over all channels. What
 * the ledger is given is a Carrier, which is freed as soon as the ledger or the window lets go of it: an
 * address sanitizer then sees every use that comes too late, and every carrier that is never let go.
 *
 * The model takes the simplest form there is for everything and looks at all messages again and again.
 */

#include "tests/support/ledger_model.h"
#include "tests/support/ledger_model_private.h"

#include <stdbool.h>

enum { MILLISECOND_US = 1000, MESSAGES_MAX = 1000, CROWD = 90, NOBODY = -1 };

static int *
publish_at(const Model *model, uint64_t seq)
{
        return &g_array_index(model->publishes, int, seq - 1);
}

static bool
is_waiting(const Item *item)
{
        return item->carrier && !item->published && item->outcome == OUTCOME_NONE;
}

/* ---- what comes in ---- */

static void
deliver_one(Model *model)
{
        Carrier *carrier = g_new0(Carrier, 1);
        Item item = {.carrier = carrier};

        carrier->number = model->items->len;
        g_array_append_val(model->items, item);
        model->open++;
        promise(model, ledger_add(model->ledger, last_tag(model), &carrier->flight), "the next tag is taken");
        promise(model, carrier->flight.state == FLIGHT_WAITING, "a delivery begins as waiting");
}

static void
deliver(Model *model, uint8_t argument)
{
        unsigned count = argument >= 250 ? CROWD : argument % 4 + 1;

        for (unsigned i = 0; i < count && model->items->len < MESSAGES_MAX; i++)
                deliver_one(model);
}

static void
deliver_out_of_step(Model *model, uint8_t argument)
{
        Flight flight = {0};
        uint64_t next = last_tag(model) + 1;
        uint64_t tag = argument % 2 ? next + 1 + argument : next - 1 - argument % next;

        promise(model, !ledger_add(model->ledger, tag, &flight), "a tag that does not follow is refused");
}

static void
on_drop(Flight *flight, void *user_data)
{
        Model *model = user_data;
        Item *item = item_at(model, ((Carrier *)flight)->number);

        promise(model, !item->published, "a published flight is not dropped");
        promise(model, item->carrier == (Carrier *)flight, "a flight is dropped once");
        promise(model, !flight->ledger, "a dropped flight has no ledger");
        let_go(item);
        model->dropped++;
}

void
model_lose_intake(Model *model, uint8_t argument)
{
        size_t expected = 0;

        for (unsigned i = model->first; i < model->items->len; i++)
                expected += item_at(model, i)->carrier && !item_at(model, i)->published ? 1 : 0;
        model->dropped = 0;
        ledger_reset(model->ledger, on_drop, model);
        promise(model, model->dropped == expected, "all deliveries but the published are dropped");
        model->first = model->next = model->items->len;
        model->open = 0;
}

/* ---- what goes out ---- */

static void
publish(Model *model, unsigned number)
{
        Item *item = item_at(model, number);
        int publisher = (int)number;
        Flight *flight = &item->carrier->flight;

        promise(model, window_next_seq(model->window) == model->publishes->len + 1, "numbers have no gaps");
        flight->returned = 0;
        item->returned = false;
        window_publish(model->window, flight);
        promise(model, flight->state == FLIGHT_PUBLISHED && flight->seq == model->publishes->len + 1,
                "a publish gets the next number");
        item->published = true;
        g_array_append_val(model->publishes, publisher);
        model->unconfirmed++;
}

/* A waiting message of this channel, the first from a place that the argument chooses; or -1. */
static int
choose_waiting(const Model *model, uint8_t argument)
{
        unsigned count = (unsigned)last_tag(model);

        for (unsigned i = 0; i < count; i++) {
                unsigned number = model->first + (i + (argument < 128 ? 0 : argument)) % count;

                if (is_waiting(item_at(model, number)))
                        return (int)number;
        }
        return -1;
}

static void
publish_some(Model *model, uint8_t argument)
{
        int count = argument % 4 ? argument % 4 : 64;

        while (count-- > 0) {
                int number = choose_waiting(model, argument);

                if (number < 0)
                        return;
                publish(model, (unsigned)number);
        }
}

/* An unconfirmed publish, or 0. */
static uint64_t
choose_unconfirmed(const Model *model, uint8_t argument)
{
        unsigned count = model->publishes->len;

        for (unsigned i = 0; i < count; i++) {
                uint64_t seq = (i + (argument < 64 ? 0 : argument)) % count + 1;

                if (*publish_at(model, seq) != NOBODY)
                        return seq;
        }
        return 0;
}

/* What the owner does with a flight that came back from its window. */
static void
take_back(Model *model, uint64_t seq, Flight *flight, bool confirmed)
{
        unsigned number = (unsigned)*publish_at(model, seq);
        Item *item = item_at(model, number);
        bool orphan = number < model->first;

        *publish_at(model, seq) = NOBODY;
        model->unconfirmed--;
        item->published = false;
        promise(model, flight == &item->carrier->flight,
                "the window gives out what it was told of, in order");
        if (model->broken)
                return;
        promise(model, flight->state == FLIGHT_WAITING && !flight->window, "out of the window is waiting");
        promise(model, orphan == !flight->ledger, "a flight loses its ledger with its channel");
        promise(model, item->returned == (flight->returned != 0), "a return stays with its flight");
        if (orphan) {
                let_go(item);
        } else if (confirmed && !item->returned) {
                item->outcome = OUTCOME_DONE;
                item->done_us = model->now_us;
                model->open--;
                ledger_settle(flight, model->now_us);
        }
}

static void
answer(Model *model, uint64_t seq, bool multiple, bool confirmed)
{
        for (uint64_t s = multiple ? 1 : seq; s <= seq; s++) {
                if (*publish_at(model, s) != NOBODY && !model->broken)
                        take_back(model, s, window_confirm(model->window, seq, multiple), confirmed);
        }
        promise(model, !window_confirm(model->window, seq, multiple), "an answer covers nothing else");
}

static void
confirm_one(Model *model, uint8_t argument)
{
        uint64_t seq = choose_unconfirmed(model, argument);

        if (seq > 0)
                answer(model, seq, false, true);
}

static void
confirm_many(Model *model, uint8_t argument)
{
        if (model->publishes->len > 0)
                answer(model, argument % model->publishes->len + 1, true, true);
}

static void
refuse(Model *model, uint8_t argument)
{
        uint64_t seq = choose_unconfirmed(model, argument);

        if (seq > 0)
                answer(model, seq, argument % 2, false);
}

static void
answer_nonsense(Model *model, uint8_t argument)
{
        uint64_t next = model->publishes->len + 1, known = argument % next;

        promise(model, !window_confirm(model->window, next + argument, false), "unknown: covers nothing");
        promise(model, !window_confirm(model->window, next + argument, true), "unknown: covers nothing");
        promise(model, !window_confirm(model->window, 0, false), "zero is no number");
        if (known > 0 && *publish_at(model, known) == NOBODY)
                promise(model, !window_confirm(model->window, known, false), "repeated: covers nothing");
}

static void
give_return(Model *model, uint8_t argument)
{
        uint64_t seq = choose_unconfirmed(model, argument);
        Flight *flight = window_find(model->window, seq);

        if (seq == 0)
                return;

        Item *item = item_at(model, (unsigned)*publish_at(model, seq));

        promise(model, flight == &item->carrier->flight, "a publish is found by its number");
        if (model->broken)
                return;
        flight->returned = 312;
        item->returned = true;
}

static void
lose_outlet(Model *model, uint8_t argument)
{
        for (uint64_t seq = 1; seq <= model->publishes->len && !model->broken; seq++) {
                if (*publish_at(model, seq) != NOBODY)
                        take_back(model, seq, window_abandon(model->window), false);
        }
        promise(model, !window_abandon(model->window), "an abandoned window is empty");
        g_array_set_size(model->publishes, 0);
}

/* ---- outcomes without a publish ---- */

static void
hand_back(Model *model, uint8_t argument)
{
        int number = choose_waiting(model, argument);

        if (number < 0)
                return;
        item_at(model, (unsigned)number)->outcome = OUTCOME_BACK;
        model->open--;
        ledger_hand_back(&item_at(model, (unsigned)number)->carrier->flight);
}

static void
expire(Model *model, uint8_t argument)
{
        int number = choose_waiting(model, argument);

        if (number < 0)
                return;

        Item *item = item_at(model, (unsigned)number);

        item->outcome = OUTCOME_DONE;
        item->done_us = model->now_us;
        model->open--;
        ledger_settle(&item->carrier->flight, model->now_us);
}

static void
pass_time(Model *model, uint8_t argument)
{
        model->now_us += argument * MILLISECOND_US;
}

/* ---- the schedule ---- */

typedef struct {
        void (*happen)(Model *model, uint8_t argument);
        unsigned weight; /* how often it happens, of 32 */
} Event;

static const Event events[] = {
    {deliver, 5},     {publish_some, 5},    {confirm_one, 4},         {confirm_many, 2},
    {refuse, 2},      {give_return, 1},     {hand_back, 2},           {expire, 1},
    {pass_time, 2},   {model_flush, 2},     {model_sweep, 2},         {model_lose_intake, 1},
    {lose_outlet, 1}, {answer_nonsense, 1}, {deliver_out_of_step, 1},
};

static void
play(Model *model, uint8_t choice, uint8_t argument)
{
        const Event *event = events;

        for (unsigned left = choice % 32; left >= event->weight; event++)
                left -= event->weight;
        event->happen(model, argument);
}

static void
check_counts(Model *model)
{
        promise(model, ledger_open_count(model->ledger) == model->open, "the open ones are counted right");
        promise(model, ledger_count(model->ledger) == model->items->len - model->next,
                "those in the books are counted right");
        promise(model, window_count(model->window) == model->unconfirmed, "publishes are counted right");
}

/* Everything gets a true confirm: then everything is told, given out and free. */
static void
come_to_an_end(Model *model)
{
        int number;

        while ((number = choose_waiting(model, 0)) >= 0 && !model->broken)
                publish(model, (unsigned)number);
        lose_outlet(model, 0);
        while ((number = choose_waiting(model, 0)) >= 0 && !model->broken)
                publish(model, (unsigned)number);
        if (model->publishes->len > 0 && !model->broken)
                answer(model, model->publishes->len, true, true);
        if (!model->broken)
                model_sweep(model, 0);
        check_counts(model);
        promise(model, model->open == 0 && model->unconfirmed == 0, "everything comes to its end");
        for (unsigned i = 0; i < model->items->len; i++)
                promise(model, !item_at(model, i)->carrier, "everything is let go");
}

const char *
ledger_model_run(const uint8_t *schedule, size_t size)
{
        Model model = {.ledger = ledger_new(),
                       .window = window_new(),
                       .items = g_array_new(FALSE, FALSE, sizeof(Item)),
                       .publishes = g_array_new(FALSE, FALSE, sizeof(int))};

        for (size_t i = 0; i + 1 < size && !model.broken; i += 2) {
                play(&model, schedule[i], schedule[i + 1]);
                check_counts(&model);
        }
        if (!model.broken)
                come_to_an_end(&model);
        if (!model.broken) {
                ledger_free(model.ledger);
                window_free(model.window);
        }
        g_array_unref(model.items);
        g_array_unref(model.publishes);
        return model.broken;
}
