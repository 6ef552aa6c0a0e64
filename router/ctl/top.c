/* SPDX-License-Identifier: MIT */
/*
 * The screen is drawn as a whole at every look, line by line, each cleared to its end: no flicker, and
 * nothing to keep in step. The terminal is put back as it was at every end but kill -9.
 */
#include "router/ctl/config.h"
#include "router/ctl/fleet.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"
#include "router/ctl/top_table.h"

#include "conf/conf_fault.h"
#include "conf/conf_nearest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum { LINES_OTHER = 2, COLUMNS_DEFAULT = 80, LINES_DEFAULT = 24, CTRL_C = 3 };

typedef struct {
        Fleet *fleet;
        TopColumn column;
        bool reverse;
        bool each; /* a row for each router */
        int64_t every_ms;
        struct termios terminal;
        bool has_keys; /* stdin is a terminal */
        int signal_fd;
        bool over;
} Top;

/* What the routers said last, in order; borrows from it. */
static GArray *
make_rows(const Top *top)
{
        const GPtrArray *routers = fleet_routers(top->fleet);
        GArray *rows = top_rows_new();

        for (unsigned i = 0; i < routers->len; i++) {
                const FleetRouter *router = routers->pdata[i];

                if (router->after)
                        top_add_rows(rows, router->id, router->before, router->after);
        }
        if (!top->each)
                top_merge(rows);
        top_sort(rows, top->column, top->reverse);
        return rows;
}

/* ---- the screen ---- */

static void
get_size(size_t *out_width, size_t *out_height)
{
        struct winsize size = {0};

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
                size = (struct winsize){0};
        *out_width = size.ws_col ? size.ws_col : COLUMNS_DEFAULT;
        *out_height = size.ws_row ? size.ws_row : LINES_DEFAULT;
}

static void
draw_line(const char *line, size_t width)
{
        g_autofree char *valid = g_utf8_make_valid(line, -1);
        g_autofree char *cut = g_utf8_substring(valid, 0, MIN((glong)width, g_utf8_strlen(valid, -1)));

        printf("%s\033[K\r\n", cut);
}

static void
draw(const Top *top)
{
        g_autoptr(GArray) rows = make_rows(top);
        g_autofree char *complaint = fleet_complaint(top->fleet);
        size_t width = 0, height = 0;

        get_size(&width, &height);

        g_autofree char *text = top_text(rows, width, height > LINES_OTHER ? height - LINES_OTHER : 1);
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        g_autofree char *title = g_strdup_printf("routers: %u  by %s%s  q: quit  e: each router  r: reverse  "
                                                 "sort: n)ame i)n o)ut d)ead p)arked f) in "
                                                 "flight t) p99",
                                                 fleet_routers(top->fleet)->len, top_column_name(top->column),
                                                 top->reverse ? ", reversed" : "");

        fputs("\033[H", stdout);
        draw_line(complaint ? complaint : title, width);
        for (char **line = lines; *line && (*line)[0]; line++)
                draw_line(*line, width);
        fputs("\033[J", stdout);
        fflush(stdout);
}

static void
open_screen(Top *top)
{
        struct termios raw;

        top->has_keys = tcgetattr(STDIN_FILENO, &top->terminal) == 0;
        if (top->has_keys) {
                raw = top->terminal;
                raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
                tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        }
        fputs("\033[?1049h\033[?25l", stdout);
}

static void
close_screen(const Top *top)
{
        fputs("\033[?25h\033[?1049l", stdout);
        fflush(stdout);
        if (top->has_keys)
                tcsetattr(STDIN_FILENO, TCSANOW, &top->terminal);
}

/* ---- keys ---- */

static void
on_key(Top *top, char key)
{
        if (key == 'q' || key == CTRL_C)
                top->over = true;
        if (key == 'r')
                top->reverse = !top->reverse;
        if (key == 'e')
                top->each = !top->each;
        for (TopColumn column = 0; column < TOP_COLUMNS; column++)
                if (key == top_column_key(column))
                        top->column = column;
}

static void
read_keys(Top *top)
{
        char keys[32];
        ssize_t count = read(STDIN_FILENO, keys, sizeof(keys));

        if (count <= 0)
                top->over = count == 0 || errno != EINTR;
        for (ssize_t i = 0; i < count; i++)
                on_key(top, keys[i]);
}

static void
read_signal(Top *top)
{
        struct signalfd_siginfo info;

        if (read(top->signal_fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo != SIGWINCH)
                top->over = true;
}

/* Until the next look is due; keys and a new size are answered at once. */
static void
wait_for_next(Top *top)
{
        int64_t until_us = g_get_monotonic_time() + top->every_ms * 1000;
        int64_t left_ms;

        while (!top->over && (left_ms = (until_us - g_get_monotonic_time()) / 1000) > 0) {
                struct pollfd fds[] = {{.fd = top->signal_fd, .events = POLLIN},
                                       {.fd = top->has_keys ? STDIN_FILENO : -1, .events = POLLIN}};

                if (poll(fds, G_N_ELEMENTS(fds), (int)left_ms) <= 0)
                        continue;
                if (fds[0].revents)
                        read_signal(top);
                if (fds[1].revents)
                        read_keys(top);
                if (!top->over)
                        draw(top);
        }
}

/* ---- the command ---- */

static void
watch(Top *top)
{
        sigset_t watched, before;

        sigemptyset(&watched);
        sigaddset(&watched, SIGINT);
        sigaddset(&watched, SIGTERM);
        sigaddset(&watched, SIGHUP);
        sigaddset(&watched, SIGWINCH);
        pthread_sigmask(SIG_BLOCK, &watched, &before);
        top->signal_fd = signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC);
        open_screen(top);
        while (!top->over && !ferror(stdout)) {
                draw(top);
                wait_for_next(top);
                if (!top->over)
                        fleet_look(
                            top->fleet); /* a failure is told on the screen, and the router waited for */
        }
        close_screen(top);
        close(top->signal_fd);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static json_t *
routers_json(const Fleet *fleet)
{
        const GPtrArray *routers = fleet_routers(fleet);
        json_t *list = json_array();

        for (unsigned i = 0; i < routers->len; i++) {
                const FleetRouter *router = routers->pdata[i];

                json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "router", print_string(router->id),
                                                      "address", print_string(router->address), "error",
                                                      print_string(router->error)));
        }
        return list;
}

static int
complain(const Fleet *fleet)
{
        g_autofree char *complaint = fleet_complaint(fleet);

        return complaint ? command_fail(EXIT_UNAVAILABLE, "%s", complaint) : EXIT_DONE;
}

static int
print_once(Top *top, bool json)
{
        g_usleep((gulong)top->every_ms * 1000);
        if (fleet_look(top->fleet) == 0)
                return complain(top->fleet);

        g_autoptr(GArray) rows = make_rows(top);

        if (json) {
                print_json(json_pack("{s:f, s:o, s:o}", "every_s", (double)top->every_ms / 1000, "routers",
                                     routers_json(top->fleet), "rows", top_json(rows)));
        } else {
                g_autofree char *text = top_text(rows, 0, 0);
                fputs(text, stdout);
        }
        return complain(top->fleet);
}

static bool
read_column(const Options *options, TopColumn *out_column)
{
        const char *name = options_get(options, "--sort");
        const char *names[TOP_COLUMNS + 1] = {NULL};

        for (TopColumn column = 0; column < TOP_COLUMNS; column++) {
                names[column] = top_column_name(column);
                if (g_strcmp0(name, names[column]) == 0)
                        *out_column = column;
        }
        if (name == NULL || g_strv_contains(names, name))
                return true;

        g_autofree char *quoted = conf_quote(name);
        g_autofree char *suggestion = conf_suggest(name, names);

        command_warn("cannot sort by %s%s", quoted, suggestion);
        return false;
}

static int
top(const Options *options, char **arguments)
{
        bool once = options_get(options, "--once") != NULL;
        uint64_t every_ms = 1000;
        Top state = {.reverse = options_get(options, "--reverse") != NULL,
                     .each = options_get(options, "--each-router") != NULL};

        if (!read_column(options, &state.column) ||
            !options_get_number(options, "--every", CONF_UNIT_TIME, "100ms", "1h", &every_ms))
                return EXIT_USAGE;
        if (!once && (options->json || !isatty(STDOUT_FILENO)))
                return command_fail(EXIT_USAGE, "top without --once needs a terminal to draw its table on");
        g_autoptr(Conf) conf = config_load(options);
        if (conf == NULL)
                return EXIT_CONFIG;
        g_autoptr(Fleet) fleet = fleet_new(conf);

        state.fleet = fleet;
        state.every_ms = (int64_t)every_ms;
        if (fleet_look(fleet) == 0)
                return complain(fleet);
        if (once)
                return print_once(&state, options->json);
        watch(&state);
        return EXIT_DONE;
}

static const CommandOption top_options[] = {
    {"--once", NULL, "print one table, without a terminal"},
    {"--sort", "COLUMN", "name, in, out, dead, parked, in_flight or p99; name unless said"},
    {"--reverse", NULL, "the other way round"},
    {"--each-router", NULL, "a row for each router instead of their sums"},
    {"--every", "TIME", "between two looks: 500ms, 2s; 1s unless said"},
    {0},
};

const Command top_commands[] = {
    {"top", NULL, "", 0, 0, "Watch what goes through all routers",
     "A table of routes and their clusters, drawn anew every second: messages in, delivered and dead per\n"
     "second since the look before, what waits in parking queues, times as in clusterctl stats. Routers "
     "announce\n"
     "themselves in redis; without [redis] the one at [http] listen is asked. Rates and messages in flight "
     "are\n"
     "summed over the routers, times are those of the slowest. Keys: q quits, n i o d p f t sort by name, "
     "in,\n"
     "out, dead, parked, in flight, p99, r reverses, e shows each router. One that goes away is waited "
     "for.\n\n"
     "JSON, only with --once: {\"every_s\", \"routers\": [{\"router\", \"address\", \"error\"}],\n"
     "\"rows\": [{\"router\", \"route\", \"cluster\", \"in_per_s\", \"out_per_s\", \"dead_per_s\", "
     "\"parked\",\n"
     "\"in_flight\", \"p50_us\", \"p99_us\", \"state\"}]}; router null is the sum of all, cluster null is "
     "all of\n"
     "the route. Exit status 69 if a router did not answer.\n\n"
     "Example: clusterctl top --once --sort out\n",
     top, top_options},
    {0},
};
