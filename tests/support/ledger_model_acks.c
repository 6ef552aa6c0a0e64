/* SPDX-License-Identifier: MIT */

/*
 * The input broker's side: it knows which tags are still unacknowledged, and would close the channel over any
 * other. RabbitMQ takes "up to" as: this tag, which it must know, and all it knows before it.
 */

#include "tests/support/ledger_model_private.h"

#include <stdbool.h>

static void
hear_upto(Model *model, uint64_t tag)
{
        for (unsigned i = model->first; tag_of(model, i) <= tag; i++) {
                Item *item = item_at(model, i);

                promise(model, item->told || item->outcome == OUTCOME_DONE,
                        "only what has its outcome is acknowledged (up to)");
                item->told = true;
        }
}

/* A tag behind one that is still unacknowledged was told alone: so that gap is known to stay. */
static bool
has_hole(const Model *model)
{
        bool gap = false;

        for (unsigned i = model->next; i < model->items->len; i++) {
                if (gap && item_at(model, i)->told)
                        return true;
                gap |= !item_at(model, i)->told;
        }
        return false;
}

static void
hear(Model *model, LedgerAckKind kind, uint64_t tag)
{
        bool known = tag >= 1 && tag <= last_tag(model);
        Item *item = known ? item_at(model, model->first + (unsigned)tag - 1) : NULL;

        promise(model, known, "a tag that was never given out is not told");
        promise(model, !known || !item->told, "a tag is told once");
        if (model->broken)
                return;
        switch (kind) {
        case LEDGER_ACK_UPTO:
                hear_upto(model, tag);
                return;
        case LEDGER_ACK_ONE:
                promise(model, item->outcome == OUTCOME_DONE, "only what has its outcome is acknowledged");
                promise(model, model->now_us - item->done_us >= PATIENCE_US || has_hole(model),
                        "alone only after a wait");
                break;
        case LEDGER_BACK_ONE:
                promise(model, item->outcome == OUTCOME_BACK, "only what was handed back is given back");
                break;
        case LEDGER_ACK_NONE:
                return;
        }
        item->told = true;
}

/* The ledger says that there is nothing more to tell: is that so? */
static void
check_all_told(Model *model)
{
        bool gap = false;

        for (unsigned i = model->next; i < model->items->len; i++) {
                const Item *item = item_at(model, i);
                bool ripe = !gap || model->now_us - item->done_us >= PATIENCE_US;

                if (item->told)
                        continue;
                promise(model, item->outcome != OUTCOME_BACK, "what was handed back is told at once");
                promise(model, item->outcome != OUTCOME_DONE || !ripe, "what is due is acknowledged");
                gap = true;
        }
}

/* Tells all there is to tell, but no more than @limit. False if there was more. */
static bool
tell(Model *model, unsigned limit)
{
        LedgerAckKind kind = LEDGER_ACK_UPTO;
        uint64_t tag = 0;

        while (limit-- > 0 && kind != LEDGER_ACK_NONE && !model->broken) {
                kind = ledger_next_ack(model->ledger, model->now_us, PATIENCE_US, &tag);
                if (kind != LEDGER_ACK_NONE)
                        hear(model, kind, tag);
        }
        if (kind == LEDGER_ACK_NONE)
                check_all_told(model);
        return kind == LEDGER_ACK_NONE;
}

void
model_flush(Model *model, uint8_t argument)
{
        /* Now and then the channel fails on the way. */
        if (!tell(model, argument < 240 ? UINT_MAX : argument % 4) && !model->broken)
                model_lose_intake(model, argument);
}

static void
sweep_one(Model *model, Flight *flight)
{
        Item *item = item_at(model, ((Carrier *)flight)->number);

        promise(model, item->carrier == (Carrier *)flight, "flights are given out once");
        promise(model, item->told, "only what was told is given out");
        if (!model->broken)
                let_go(item);
}

void
model_sweep(Model *model, uint8_t argument)
{
        Flight *flight;

        if (argument < 128)
                model_flush(model, 0);
        while (!model->broken && (flight = ledger_pop(model->ledger)) != NULL)
                sweep_one(model, flight);
        while (model->next < model->items->len && !item_at(model, model->next)->carrier)
                model->next++;
        for (unsigned i = model->next; i < model->items->len; i++)
                promise(model, !item_at(model, i)->told || !item_at(model, i)->carrier,
                        "what was told is given out");
}
