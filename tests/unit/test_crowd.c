/* SPDX-License-Identifier: MIT */
#include "router/crowd.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

/* A guest and the far end of its connection. */
typedef struct {
        CrowdGuest *guest;
        int near;
        int far;
} Seat;

static Seat
sit_down(Crowd *crowd)
{
        int ends[2];

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), ==, 0);
        return (Seat){.guest = crowd_enter(crowd, ends[0]), .near = ends[0], .far = ends[1]};
}

static bool
is_shut(const Seat *seat)
{
        char byte;

        return recv(seat->far, &byte, 1, 0) == 0;
}

static void
get_up(Crowd *crowd, Seat *seat)
{
        crowd_leave(crowd, seat->guest);
        close(seat->near);
        close(seat->far);
}

static void
test_quietest_makes_room(void)
{
        Crowd *crowd = crowd_new();
        Seat seats[CROWD_MAX + 2];

        for (unsigned i = 0; i < CROWD_MAX; i++)
                seats[i] = sit_down(crowd);
        for (unsigned i = 0; i < CROWD_MAX; i++)
                g_assert_false(is_shut(&seats[i]));
        crowd_speak(crowd, seats[0].guest);
        seats[CROWD_MAX] = sit_down(crowd);
        g_assert_true(is_shut(&seats[1]));
        seats[CROWD_MAX + 1] = sit_down(crowd);
        g_assert_true(is_shut(&seats[2]));
        crowd_speak(crowd, seats[2].guest); /* too late, and harmless */
        g_assert_false(is_shut(&seats[0]));
        g_assert_false(is_shut(&seats[3]));
        for (unsigned i = 0; i < G_N_ELEMENTS(seats); i++)
                get_up(crowd, &seats[i]);
        crowd_free(crowd);
}

static void
test_who_left_makes_room_too(void)
{
        Crowd *crowd = crowd_new();
        Seat seats[CROWD_MAX];

        for (unsigned i = 0; i < CROWD_MAX; i++)
                seats[i] = sit_down(crowd);
        for (unsigned i = 0; i < 1000; i++) {
                get_up(crowd, &seats[i % CROWD_MAX]);
                seats[i % CROWD_MAX] = sit_down(crowd);
        }
        for (unsigned i = 0; i < CROWD_MAX; i++) {
                g_assert_false(is_shut(&seats[i]));
                get_up(crowd, &seats[i]);
        }
        crowd_free(crowd);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/crowd/quietest_makes_room", test_quietest_makes_room);
        g_test_add_func("/crowd/who_left_makes_room_too", test_who_left_makes_room_too);
        return g_test_run();
}
