/* SPDX-License-Identifier: MIT */
/*
 * A queue in order of last speaking: who speaks goes to its end, who stands at its head is the one to go. A
 * shut down socket reads as ended, and the server then closes it in its own way.
 */
#include "router/crowd.h"

#include <stdbool.h>
#include <sys/socket.h>

struct Crowd {
        GQueue guests; /* quietest first; those already asked to leave are no longer in it */
};

struct CrowdGuest {
        GList link; /* data: the guest itself */
        int socket;
        bool inside;
};

Crowd *
crowd_new(void)
{
        Crowd *crowd = g_new0(Crowd, 1);

        g_queue_init(&crowd->guests);
        return crowd;
}

void
crowd_free(Crowd *crowd)
{
        g_free(crowd);
}

static void
ask_to_leave(Crowd *crowd, CrowdGuest *guest)
{
        g_queue_unlink(&crowd->guests, &guest->link);
        guest->inside = false;
        shutdown(guest->socket, SHUT_RDWR);
}

CrowdGuest *
crowd_enter(Crowd *crowd, int socket)
{
        CrowdGuest *guest = g_new0(CrowdGuest, 1);

        guest->link.data = guest;
        guest->socket = socket;
        guest->inside = true;
        g_queue_push_tail_link(&crowd->guests, &guest->link);
        if (crowd->guests.length > CROWD_MAX)
                ask_to_leave(crowd, crowd->guests.head->data);
        return guest;
}

void
crowd_speak(Crowd *crowd, CrowdGuest *guest)
{
        if (!guest->inside)
                return;
        g_queue_unlink(&crowd->guests, &guest->link);
        g_queue_push_tail_link(&crowd->guests, &guest->link);
}

void
crowd_leave(Crowd *crowd, CrowdGuest *guest)
{
        if (guest->inside)
                g_queue_unlink(&crowd->guests, &guest->link);
        g_free(guest);
}
