/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/ledger.h"

#include <glib.h>

/* The inside of the model, shared by ledger_model.c (deliveries, publishes, the schedule) and
 * ledger_model_acks.c (what the input broker is told). */

enum { PATIENCE_US = 50 * 1000 };

typedef struct {
        Flight flight;
        unsigned number;
} Carrier;

typedef enum {
        OUTCOME_NONE,
        OUTCOME_DONE, /* truly confirmed, or its time was over: may be acknowledged */
        OUTCOME_BACK, /* is to go back to its queue */
} Outcome;

typedef struct {
        Carrier *carrier; /* NULL: freed */
        Outcome outcome;
        int64_t done_us;
        bool published;
        bool returned; /* the broker returned that publish */
        bool told;     /* acknowledged or given back: the broker knows the tag no more */
} Item;

typedef struct {
        const char *broken;
        int64_t now_us;
        Ledger *ledger;
        GArray *items;  /* of Item */
        unsigned first; /* the item with tag 1 on the channel that is open now */
        unsigned next;  /* all items before this one were given out */
        size_t open;    /* without an outcome, on the channel that is open now */
        size_t dropped; /* by the reset that is going on */
        Window *window;
        GArray *publishes; /* of int: item by sequence number - 1, NOBODY once its fate is known */
        size_t unconfirmed;
} Model;

static inline void
promise(Model *model, bool kept, const char *sentence)
{
        if (!kept && !model->broken)
                model->broken = sentence;
}

static inline Item *
item_at(const Model *model, unsigned number)
{
        return &g_array_index(model->items, Item, number);
}

static inline uint64_t
tag_of(const Model *model, unsigned number)
{
        return number - model->first + 1;
}

static inline uint64_t
last_tag(const Model *model)
{
        return model->items->len - model->first;
}

static inline void
let_go(Item *item)
{
        g_clear_pointer(&item->carrier, g_free);
}

/* Events: what the schedule makes happen. */
void model_lose_intake(Model *model, uint8_t argument);
void model_flush(Model *model, uint8_t argument);
void model_sweep(Model *model, uint8_t argument);
