/* SPDX-License-Identifier: MIT */

/*
 * A lane leaves in three steps: it is stopped, it settles and says that it is done, it is reaped. Only then
 * may a lane of the same route follow it, so that order holds.
 */

#include "router/crew.h"

typedef struct {
        Lane *lane;
        char *route;
        char *fingerprint;
        bool stopping;
        uint64_t turns; /* as crew_find_standing() last found all lanes moving */
} Slot;

struct Crew {
        GMutex lock;      /* the registry's thread wakes lanes */
        GPtrArray *slots; /* of Slot * */
};

static void
slot_free(void *data)
{
        Slot *slot = data;

        lane_free(slot->lane);
        g_free(slot->route);
        g_free(slot->fingerprint);
        g_free(slot);
}

static void
stop_slot(Slot *slot)
{
        if (!slot->stopping)
                lane_stop(slot->lane);
        slot->stopping = true;
}

Crew *
crew_new(void)
{
        Crew *crew = g_new0(Crew, 1);

        g_mutex_init(&crew->lock);
        crew->slots = g_ptr_array_new_with_free_func(slot_free);
        return crew;
}

void
crew_free(Crew *crew)
{
        if (!crew)
                return;
        crew_stop(crew);
        g_ptr_array_unref(crew->slots);
        g_mutex_clear(&crew->lock);
        g_free(crew);
}

/* ---- start ---- */

static bool
has_lanes(const Crew *crew, const ConfRoute *route)
{
        for (unsigned i = 0; i < crew->slots->len; i++) {
                if (g_strcmp0(((Slot *)g_ptr_array_index(crew->slots, i))->route, route->name) == 0)
                        return true;
        }
        return false;
}

static void
start_lane(Crew *crew, const LaneOptions *options)
{
        Slot *slot = g_new0(Slot, 1);

        slot->route = g_strdup(options->route->name);
        slot->fingerprint = g_strdup(options->route->fingerprint);
        slot->lane = lane_new(options);

        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&crew->lock);

        g_ptr_array_add(crew->slots, slot);
}

void
crew_start(Crew *crew, const LaneOptions *common)
{
        LaneOptions options = *common;

        for (unsigned i = 0; i < common->conf->routes->len; i++) {
                options.route = g_ptr_array_index(common->conf->routes, i);

                bool present = has_lanes(crew, options.route);

                for (options.number = 0; !present && options.number < options.route->lanes; options.number++)
                        start_lane(crew, &options);
        }
}

/* ---- stop ---- */

void
crew_stop(Crew *crew)
{
        for (unsigned i = 0; i < crew->slots->len; i++)
                stop_slot(g_ptr_array_index(crew->slots, i));
}

/* The lane goes on as it is: its route is the same text, in a setting that is the same. */
static bool
is_unchanged(const Slot *slot, const Conf *before, const Conf *after)
{
        const ConfRoute *route = conf_find_route(after, slot->route);

        return route && g_strcmp0(route->fingerprint, slot->fingerprint) == 0 &&
               conf_is_single_cluster(before) == conf_is_single_cluster(after);
}

bool
crew_stop_changed(Crew *crew, const Conf *before, const Conf *after)
{
        bool any = false;

        for (unsigned i = 0; i < crew->slots->len; i++) {
                Slot *slot = g_ptr_array_index(crew->slots, i);

                if (is_unchanged(slot, before, after))
                        continue;
                stop_slot(slot);
                any = true;
        }
        return any;
}

unsigned
crew_reap(Crew *crew)
{
        for (unsigned i = crew->slots->len; i-- > 0;) {
                Slot *slot = g_ptr_array_index(crew->slots, i);

                if (!lane_is_done(slot->lane))
                        continue;
                g_mutex_lock(&crew->lock);
                g_ptr_array_steal_index_fast(crew->slots, i);
                g_mutex_unlock(&crew->lock);
                slot_free(slot);
        }
        return crew->slots->len;
}

/* ---- while they run ---- */

void
crew_wake(Crew *crew)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&crew->lock);

        for (unsigned i = 0; i < crew->slots->len; i++)
                lane_wake(((Slot *)g_ptr_array_index(crew->slots, i))->lane);
}

const char *
crew_find_standing(Crew *crew)
{
        for (unsigned i = 0; i < crew->slots->len; i++) {
                const Slot *slot = g_ptr_array_index(crew->slots, i);

                if (lane_turns(slot->lane) == slot->turns && !lane_is_done(slot->lane))
                        return slot->route;
        }
        for (unsigned i = 0; i < crew->slots->len; i++) {
                Slot *slot = g_ptr_array_index(crew->slots, i);

                slot->turns = lane_turns(slot->lane);
        }
        return NULL;
}
