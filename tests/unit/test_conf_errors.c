/* SPDX-License-Identifier: MIT */

/*
 * Every kind of mistake gives its own message at its own line. A row is the text of a file and the errors
 * (or, beginning with "warning", warnings) it must give: each expected text must be part of the line at its
 * index, and there must be no more lines. The file is called "f".
 */

#include "conf/conf.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Two clusters, on lines 1 to 4. */
#define TWO "[east]\ncluster_member_ips = e1\n[west]\ncluster_member_ips = w1\n"
/* A whole route but for what a row adds; begins on line 5 behind TWO. Queue on 6, sources 7, destination 8.
 */
#define ROUTE "[route:r]\nqueue = q\ncluster_from = header:cluster\ndestination = queue:{queue}.{cluster}\n"
/* The same without the key that a row is about. */
#define ROUTE_FROM "[route:r]\nqueue = q\ndestination = queue:{queue}.{cluster}\n"
#define ROUTE_TO "[route:r]\nqueue = q\ncluster_from = header:cluster\n"

typedef struct {
        const char *text;
        const char *lines[4];
} Row;

static const Row errors[] = {
    /* the text itself */
    {"hello\n", {"f:1: neither [GROUP] nor KEY = VALUE nor a # comment"}},
    {"\n[broker\nurl = x\n", {"f:2: \"[broker\" is no group; write [NAME]"}},
    {"[]\n", {"f:1: \"[]\" is no group"}},
    {"[a]b]\n", {"f:1: \"[a]b]\" is no group"}},
    {"url = x\n", {"f:1: key \"url\" stands in no group"}},
    {"[http]\n= off\n", {"f:2: neither [GROUP]"}},
    {"[http]\n\xff\n", {"f:2: not UTF-8"}},
    {"[http]\nlisten = off\nlisten = off\n",
     {"f:3: key \"listen\" stands twice in this group, first on line 2"}},
    {"[http]\n[redis]\n[http]\nlisten = off\n", {"f:3: group \"http\" stands twice, first on line 1"}},
    {"[http]\nlisten = off # why\n",
     {"f:2: listen: ", "f:2: listen: a comment must stand on a line of its own"}},

    /* names of groups and keys */
    {"[redis]\nheartbeat_tll = 15s\n",
     {"f:2: unknown key \"heartbeat_tll\" in [redis]; did you mean \"heartbeat_ttl\"?"}},
    {"[redis]\nxyzzyxyzzy = 1\n",
     {"f:2: unknown key \"xyzzyxyzzy\" in [redis]; there is url, password_file, heartbeat_ttl"}},
    {TWO ROUTE "prefech = 1\n", {"f:9: unknown key \"prefech\" in [route:r]; did you mean \"prefetch\"?"}},
    {"[east]\ncluster_member_ips = a\nalias = b\n",
     {"f:3: unknown key \"alias\" in [east]; did you mean \"aliases\"?"}},
    {"[brokr]\nurl = x\n",
     {"f:1: unknown group \"brokr\"; did you mean \"broker\"? (a cluster group needs cluster_member_ips)"}},
    {"[route]\nqueue = x\n", {"f:1: unknown group \"route\"; did you mean \"route:\"?"}},
    {"[rout:volume]\nqueue = x\n", {"f:1: unknown group \"rout:volume\"; did you mean \"route:\"?"}},
    {"[california]\nx = y\n",
     {"f:1: unknown group \"california\"; there is DEFAULT, broker, redis, mysql, http, route:, fields: (a "
      "cluster"}},
    {"[east]\ncluster_members_ip = a\n",
     {"f:1: unknown group \"east\"",
      "f:2: unknown key \"cluster_members_ip\" in the unknown group \"east\"; did you "
      "mean \"cluster_member_ips\"?"}},
    {"[Broker]\nurl = x\n", {"f:1: \"Broker\" is a reserved word in another case; write [broker]"}},
    {"[default]\n", {"f:1: \"default\" is a reserved word in another case; write [DEFAULT]"}},
    {"[REDIS]\ncluster_member_ips = a\n",
     {"f:1: \"REDIS\" is a reserved word in another case; write [redis]"}},
    {"[Route:r]\n", {"f:1: \"Route:r\" is a reserved word in another case; write [route:NAME]"}},
    {"[a b]\ncluster_member_ips = a\n", {"f:1: \"a b\" is no cluster name: only letters"}},
    {"[a_up]\ncluster_member_ips = a\n", {"f:1: \"a_up\" is no cluster name: it ends in \"_up\""}},
    {"[a\tb\x1b]\ncluster_member_ips = a\n", {"f:1: \"a\\u0009b\\u001b\" is no cluster name"}},
    {"[route:]\nqueue = x\n", {"f:1: \"\" is no name for a group of this kind: it is empty"}},
    {"[route:a/b]\n", {"f:1: \"a/b\" is no name for a group"}},
    {"[route:a.parked.b]\n",
     {"f:1: \"a.parked.b\" is no name for a group of this kind: it holds \".parked\""}},

    /* numbers */
    {"[redis]\npoll =\n", {"f:2: poll: needs a value"}},
    {"[redis]\npoll = soon\n",
     {"f:2: poll: \"soon\" is no number; write a whole number and ms, s, m, h or d"}},
    {"[redis]\npoll = 1.5s\n", {"f:2: poll: \"1.5s\" is no number"}},
    {"[redis]\npoll = -1s\n", {"f:2: poll: \"-1s\" is no number"}},
    {"[redis]\npoll = 5\n", {"f:2: poll: \"5\" has no unit; write a whole number and ms"}},
    {"[redis]\npoll = 5x\n", {"f:2: poll: \"5x\" has an unknown unit; write"}},
    {"[redis]\npoll = 5S\n", {"f:2: poll: \"5S\" has an unknown unit; did you mean \"5s\"?"}},
    {"[redis]\npoll = 5 min\n", {"f:2: poll: \"5 min\" has an unknown unit; did you mean \"5m\"?"}},
    {"[redis]\npoll = 0s\n", {"f:2: poll: \"0s\" is out of range; it must be from 10ms to 10m"}},
    {"[redis]\npoll = 99999999999999999999d\n", {"f:2: poll: \"99999999999999999999d\" is out of range"}},
    {"[redis]\npoll = 9223372036854775807d\n", {"f:2: poll: \"9223372036854775807d\" is out of range"}},
    {"[broker]\nheartbeat = 1500ms\n", {"f:2: heartbeat: \"1500ms\" is not a whole number of seconds"}},
    {"[broker]\nin_flight_bytes = 64MB\n",
     {"f:2: in_flight_bytes: \"64MB\" has an unknown unit; did you mean \"64MiB\"?"}},
    {"[broker]\nin_flight_bytes = 1\n",
     {"f:2: in_flight_bytes: \"1\" is out of range; it must be from 4KiB to 64GiB"}},
    {"[redis]\nbrake = 30\n", {"f:2: brake: \"30\" has no unit; write a whole number and %"}},
    {"[redis]\nbrake = 101%\n", {"f:2: brake: \"101%\" is out of range; it must be from 1% to 100%"}},
    {"[redis]\nrise = 1s\n", {"f:2: rise: \"1s\" has an unknown unit; write a whole number"}},
    {TWO ROUTE "prefetch = 0\n", {"f:9: prefetch: \"0\" is out of range; it must be from 1 to 65535"}},
    {TWO ROUTE "prefetch = 65536\n", {"f:9: prefetch: \"65536\" is out of range"}},
    {TWO ROUTE "lanes = 65\n", {"f:9: lanes: \"65\" is out of range; it must be from 1 to 64"}},
    {TWO ROUTE "max_attempts = 0\n", {"f:9: max_attempts: \"0\" is out of range"}},
    {TWO ROUTE "park_ttl = 10\n", {"f:9: park_ttl: \"10\" has no unit"}},

    /* words */
    {"[broker]\nqueue_type = quorm\n",
     {"f:2: queue_type: \"quorm\" is not classic or quorum; did you mean \"quorum\"?"}},
    {"[DEFAULT]\nheartbeat_via = pigeon\n", {"f:2: heartbeat_via: \"pigeon\" is not redis or amqp"}},
    {"[a]\ncluster_member_ips = b\nstate = Drain\n",
     {"f:3: state: \"Drain\" is not ready or drain; did you mean \"drain\"?"}},
    {TWO ROUTE "mode = tagg\n", {"f:9: mode: \"tagg\" is not reroute or tag; did you mean \"tag\"?"}},
    {TWO ROUTE "replies = on\n", {"f:9: replies: \"on\" is not off or auto"}},

    /* node, clusters, hosts */
    {"[DEFAULT]\ncluster = a b\n", {"f:2: cluster: \"a b\" is no cluster name: only"}},
    {"[DEFAULT]\nhost = a_b\n", {"f:2: host: \"a_b\" is no host name: only"}},
    {"[DEFAULT]\nstate_dir = var\n", {"f:2: state_dir: \"var\" is no absolute file name"}},
    {"[DEFAULT]\ncluster = est\n" TWO,
     {"f:2: cluster names cluster \"est\", which is not in this file; did you mean \"east\"?"}},
    {"[DEFAULT]\ncluster = east\n", {"f:2: cluster names cluster \"east\", which is not in this file"}},
    {"[DEFAULT]\nheartbeat_interval = 15s\n",
     {"f:2: heartbeat_interval: must be shorter than heartbeat_ttl (15000ms)"}},
    {"[a]\ncluster_member_ips = b,,c\n", {"f:2: cluster_member_ips: an item of the list is empty"}},
    {"[a]\ncluster_member_ips = b, c_d, num\n",
     {"f:2: cluster_member_ips: \"c_d\" is no host name",
      "f:2: cluster_member_ips: \"num\" is no host name"}},
    {"[a]\ncluster_member_ips =\n",
     {"f:2: cluster_member_ips: may only be empty if there is a [redis] group"}},
    {"[a]\ncluster_member_ips = x\naliases = b\n[b]\ncluster_member_ips = y\n",
     {"f:3: aliases: \"b\" already means cluster \"b\" (line 4)"}},
    {"[a]\ncluster_member_ips = x\naliases = z\n[b]\ncluster_member_ips = y\naliases = z\n",
     {"f:6: aliases: \"z\" already means cluster \"a\" (line 1)"}},
    {"[broker]\nurl = amqps://h\ntls_cert = /c\n",
     {"f:3: tls_cert and tls_key belong together; tls_key is missing"}},

    /* URLs; none may be quoted, they may hold passwords */
    {"[broker]\nurl = http://localhost\n",
     {"f:2: url: it must look like amqp://USER:PASSWORD@HOST:5672/VHOST"}},
    {"[broker]\nurl = amqp://h:0\n", {"f:2: url: the port must be a number from 1 to 65535"}},
    {"[broker]\nurl = amqp://h:65536\n", {"f:2: url: the port must be"}},
    {"[broker]\nurl = amqp://h, amqp://h:x\n", {"f:2: url: URL 2 of 2: the port must be"}},
    {"[broker]\nurl = amqp://u:p@\n", {"f:2: url: it names no host"}},
    {"[broker]\nurl = amqp://u:p@w@h\n", {"f:2: url: more than one \"@\"; in a password write %40"}},
    {"[broker]\nurl = amqp://u:p/w@h\n", {"f:2: url: a \"/\" or \"?\" stands in front of \"@\""}},
    {"[broker]\nurl = amqp://h/%zz\n", {"f:2: url: % must be followed by two hexadecimal digits"}},
    {"[broker]\nurl = amqp://h/%00\n", {"f:2: url: % must be followed"}},
    {"[broker]\nurl = amqp://h//\n", {"f:2: url: more than one \"/\" behind the host; in a vhost write %2f"}},
    {"[broker]\nurl = amqp://[::1\n", {"f:2: url: \"[\" without \"]\""}},
    {"[broker]\nurl = amqp://[h]\n", {"f:2: url: no IPv6 address stands in the brackets"}},
    {"[broker]\nurl = amqp://h/v?heartbeat=1\n", {"f:2: url: nothing may follow \"?\""}},
    {"[redis]\nurl = redis://h/x\n", {"f:2: url: the database of redis must be a number"}},
    {"[redis]\nurl = rediss://h\n", {"f:2: url: it must look like redis://"}},
    {"[redis]\nurl = unix://tmp/x\n", {"f:2: url: a socket has no host: write three slashes"}},
    {"[mysql]\nurl = mysql://u:p@h\n", {"f:2: url: it names no database"}},
    {"[mysql]\nurl = mysql://h/d\n", {"f:2: url: it names no user; write mysql://USER:PASSWORD@HOST"}},
    {"[mysql]\nurl = mysql://:p@h/d\n", {"f:2: url: it names no user"}},
    {"[mysql]\nurl = mysql:///d?socket=/s\n", {"f:2: url: it names no user"}},
    {"[mysql]\nurl = mysql://h/d?socket=x\n", {"f:2: url: a socket needs an absolute file name"}},
    {"[mysql]\n", {"f:1: [mysql] needs the key \"url\", such as url = mysql://"}},
    {"[a]\ncluster_member_ips = b\namqp_url = amqp\n", {"f:3: amqp_url: it must look like amqp://"}},
    {"[http]\nlisten = 9419\n", {"f:2: listen: \"9419\" has no port; write ADDRESS:PORT"}},
    {"[http]\nlisten = 127.0.0.1:99999\n", {"f:2: listen: \"127.0.0.1:99999\": the port must be"}},
    {"[http]\nlisten = ::1:9419\n", {"f:2: listen: \"::1:9419\" has no IP address"}},
    {"[http]\nlisten = localhost:9419\n", {"f:2: listen: \"localhost:9419\" has no IP address"}},

    /* routes: what must be there */
    {TWO "[route:r]\ncluster_from = header:c\ndestination = queue:{cluster}\n",
     {"f:5: [route:r] needs the key \"queue\", such as queue = cinder-volume"}},
    {TWO ROUTE_TO, {"f:5: [route:r] needs the key \"destination\", such as destination = queue:"}},
    {TWO ROUTE_FROM,
     {"f:5: [route:r] needs the key \"cluster_from\", such as cluster_from = header:cluster"}},
    {TWO ROUTE_FROM "cluster_from =\n", {"f:8: [route:r] needs the key \"cluster_from\""}},
    {"[route:r]\nqueue = {q}\ndestination = queue:d\n", {"f:2: queue: the name of the queue is plain"}},
    {TWO ROUTE "[route:s]\nqueue = q\ncluster_from = header:c\ndestination = queue:s.{cluster}\n",
     {"f:10: queue: \"q\" is already consumed by route \"r\" (line 6); one route per queue"}},

    /* routes: sources */
    {TWO ROUTE_FROM "cluster_from = heder:c\n",
     {"f:8: cluster_from: \"heder:c\": unknown kind of source; did you mean \"header:\"?"}},
    {TWO ROUTE_FROM "cluster_from = c\n",
     {"f:8: cluster_from: \"c\": unknown kind of source; there is header:NAME"}},
    {TWO ROUTE_FROM "cluster_from = header:\n", {"f:8: cluster_from: header: names no header"}},
    {TWO ROUTE_FROM "cluster_from = json:cluster\n",
     {"f:8: cluster_from: \"json:cluster\" is no JSON pointer; it must begin with"}},
    {TWO ROUTE_FROM "cluster_from = oslo:/a~2\n",
     {"f:8: cluster_from: \"oslo:/a~2\" is no JSON pointer; after \"~\""}},
    {TWO ROUTE_FROM "cluster_from = json:/a~\n",
     {"f:8: cluster_from: \"json:/a~\" is no JSON pointer; after \"~\""}},
    {TWO ROUTE_FROM "cluster_from = key:a.*\n",
     {"f:8: cluster_from: \"key:a.*\" must hold exactly one {cluster} or {host}"}},
    {TWO ROUTE_FROM "cluster_from = key:{host}.{cluster}\n",
     {"f:8: cluster_from: \"key:{host}.{cluster}\" must hold exactly one"}},
    {TWO ROUTE_FROM "cluster_from = key:{hst}\n",
     {"f:8: cluster_from: \"key:{hst}\": only {cluster} or {host}"}},
    {TWO ROUTE_FROM "cluster_from = host:key:{cluster}\n",
     {"f:8: cluster_from: \"host:key:{cluster}\": host: needs {host}"}},
    {TWO ROUTE_FROM "cluster_from = fields:cindr\n[fields:cinder]\na = header:a\n",
     {"f:8: cluster_from: there is no group \"fields:cindr\"; did you mean \"fields:cinder\"?"}},
    {TWO ROUTE_FROM "cluster_from = fields:x\n[fields:x]\na = header:a\nb = heder:b\n",
     {"f:11: \"b\": \"heder:b\": unknown kind of source; did you mean"}},
    {TWO ROUTE_FROM "cluster_from = fields:x\n[fields:x]\n", {"f:9: [fields:x] holds no source"}},
    {TWO ROUTE "affinity = fields:x\n",
     {"f:9: affinity: \"fields:x\": fields: may only stand in cluster_from"}},

    /* routes: destinations and bindings */
    {TWO ROUTE_TO "destination = q.{cluster}\n",
     {"f:8: destination: \"q.{cluster}\" is no destination; write queue:NAME"}},
    {TWO ROUTE_TO "destination = queue:\n", {"f:8: destination: queue: names no queue"}},
    {TWO ROUTE_TO "destination = exchange:x\n",
     {"f:8: destination: \"exchange:x\" has no key; write exchange:NAME/KEY"}},
    {TWO ROUTE_TO "destination = exchange:/\n",
     {"f:8: destination: \"exchange:/\" names neither exchange nor key"}},
    {TWO ROUTE_TO "destination = queue:{cluste}\n",
     {"f:8: destination: unknown placeholder \"{cluste}\"; did you mean \"cluster\"?"}},
    {TWO ROUTE_TO "destination = queue:a{b\n",
     {"f:8: destination: unknown placeholder \"{b\"; there is queue, exchange, key"}},
    {TWO ROUTE_TO "destination = queue:a}\n", {"f:8: destination: unknown placeholder \"}\""}},
    {TWO ROUTE "bind = x\n", {"f:9: bind: \"x\" has no key; write EXCHANGE/KEY"}},
    {TWO ROUTE "bind = /x\n", {"f:9: bind: \"/x\" names no exchange"}},
    {TWO ROUTE "bind = a/b\nbind_exchange = topik\n",
     {"f:10: bind_exchange: \"topik\" is not topic or direct or fanout or headers; did you mean \"topic\"?"}},
    {TWO ROUTE "bind = a/b\nbind_exchange = topic, transint\n",
     {"f:10: bind_exchange: \"transint\" is not durable or transient or auto_delete; did you mean "
      "\"transient\"?"}},
    {ROUTE, {"f:4: destination: {cluster} has no meaning, since this file has no cluster"}},
    {"[route:r]\nqueue = q\ndestination = queue:{host}\n", {"f:3: destination: {host} has no meaning"}},

    /* routes: policies */
    {TWO ROUTE "on_no_cluster = prak\n",
     {"f:9: on_no_cluster: \"prak\" is no policy of this key; did you mean \"park\"?"}},
    {TWO ROUTE "on_no_cluster = xyzzyx\n",
     {"f:9: on_no_cluster: \"xyzzyx\" is no policy of this key; there is any, cluster:, queue:, park, dead"}},
    {TWO ROUTE "on_no_cluster = fail\n", {"f:9: on_no_cluster: fail is only possible in on_cluster_down"}},
    {TWO ROUTE "on_unknown_cluster = cast:park\n",
     {"f:9: on_unknown_cluster: \"cast:park\" is no policy of this key"}},
    {TWO ROUTE "on_cluster_down = queue:x\n",
     {"f:9: on_cluster_down: \"queue:x\" is no policy of this key; there is any, cluster:, park, dead, "
      "fail"}},
    {TWO ROUTE "on_cluster_down = cast:park, cast:dead\n", {"f:9: on_cluster_down: two policies for cast"}},
    {TWO ROUTE "on_cluster_down = park, call:fail\n",
     {"f:9: on_cluster_down: two policies for call; write cast:POLICY, call:POLICY"}},
    {TWO ROUTE "on_no_cluster = cluster:\n", {"f:9: on_no_cluster: cluster: needs a name: cluster:NAME"}},
    {TWO ROUTE "on_no_cluster = cluster:a b\n", {"f:9: on_no_cluster: \"a b\" is no cluster name"}},
    {TWO ROUTE "on_no_cluster = queue:{cluster}\n",
     {"f:9: on_no_cluster: the name of a queue is plain here"}},
    {TWO ROUTE "on_no_cluster = cluster:wset\n",
     {"f:9: on_no_cluster names cluster \"wset\", which is not in this file; did you mean \"west\"?"}},
    {TWO "aliases = zone\n[route:r]\nqueue = q\ncluster_from = header:c\ndestination = queue:{cluster}\n"
         "on_cluster_down = call:cluster:zone\n",
     {"f:10: on_cluster_down names cluster \"zone\", which is not in this file; it is an alias of \"west\""}},

    /* circles */
    {TWO ROUTE_TO "destination = queue:{queue}\n",
     {"f:8: destination: leads back to the queue of route \"r\" (line 6) with queue name \"q\""}},
    {"[route:r]\nqueue = q\ndestination = queue:q\n",
     {"f:3: destination: leads back to the queue of route \"r\""}},
    {"[route:r]\nqueue = q\ndestination = exchange:/q\n", {"f:3: destination: leads back"}},
    {"[route:r]\nqueue = q\ndestination = exchange:/{key}\n", {"f:3: destination: leads back"}},
    {"[route:r]\nqueue = q\nbind = x/a.#\ndestination = exchange:{exchange}/{key}\n",
     {"f:4: destination: leads back"}},
    {"[route:r]\nqueue = q\nbind = x/a.#\ndestination = exchange:x/a.b.c\n",
     {"f:4: destination: leads back to the queue of route \"r\" (line 2) with exchange \"x\" and key "
      "\"a.b.c\""}},
    {"[route:r]\nqueue = q\nbind = x/\nbind_exchange = fanout\ndestination = exchange:x/any\n",
     {"f:5: destination: leads back"}},
    {TWO ROUTE_TO "destination = queue:{host}\n[route:s]\nqueue = w1\ncluster_from = header:c\ndestination = "
                  "queue:s.{cluster}\n",
     {"f:8: destination: leads back to the queue of route \"s\" (line 10) with queue name \"w1\""}},
    {TWO ROUTE "[route:s]\nqueue = q.west\ncluster_from = header:c\ndestination = queue:s.{cluster}\n",
     {"f:8: destination: leads back to the queue of route \"s\" (line 10) with queue name \"q.west\""}},
    {TWO ROUTE "on_no_cluster = queue:q\n", {"f:9: on_no_cluster: leads back to the queue of route \"r\""}},
    {TWO ROUTE "on_unknown_cluster = queue:cluster-router.r.dead\n",
     {"f:9: on_unknown_cluster: that is a queue of the router's own"}},
    {TWO ROUTE_TO "destination = queue:cluster-router.r.parked.{cluster}\n",
     {"f:8: destination: \"cluster-router.r.parked.east\" is a queue of the router's own"}},
    {"[a]\ncluster_member_ips = x\namqp_url = amqp://127.0.0.1\n[route:r]\nqueue = q\ncluster_from = "
     "header:c\ndestination = queue:{queue}\n",
     {"f:7: destination: leads back"}},

    /* all at once, in order of lines */
    {"[http]\nlisten = x\n[brokr]\n[redis]\npol = 1s\n",
     {"f:2: listen", "f:3: unknown group", "f:5: unknown key \"pol\""}},
};

static const Row warnings[] = {
    {"[http]\nlisten = off\n", {"f: no route"}},
    {TWO ROUTE "[fields:x]\na = header:a\n", {"f:9: no route uses \"fields:x\""}},
    {"[a]\ncluster_member_ips = h\n[b]\ncluster_member_ips = h\n" ROUTE,
     {"f:4: host \"h\" is also a member of cluster \"a\" (line 1)"}},
    {"[a]\ncluster_member_ips = h, h\n" ROUTE, {"f:2: cluster_member_ips: \"h\" stands twice"}},
    {TWO ROUTE_TO "destination = queue:other\n", {"f:8: destination: is the same for all clusters"}},
    {TWO ROUTE "mode = tag\n", {"f:8: destination: mode = tag is meant for one destination"}},
    {TWO ROUTE "bind_exchange = topic\n", {"f:9: bind_exchange: has no effect without bind"}},
    {TWO ROUTE "take_back = 1h\n", {"f:9: take_back: has no effect unless the destination is queue: with"}},
    {TWO ROUTE_TO "destination = queue:{queue}.{host}\ntake_back = 1h\naffinity = json:/id\n", {NULL}},
    {TWO ROUTE "affinity = json:/id\n", {"f:9: affinity: has no effect without {host}"}},
    {TWO ROUTE "[broker]\ntls_ca = /ca\n", {"f:10: tls_ca, tls_cert and tls_key have no effect here"}},
    {TWO ROUTE, {NULL}},
    {TWO ROUTE_TO "destination = queue:tagged\nmode = tag\n", {NULL}},
};

static void
compare(const Row *row, const GPtrArray *lines)
{
        unsigned expected = 0;
        while (expected < G_N_ELEMENTS(row->lines) && row->lines[expected])
                expected++;
        bool good = lines->len == expected;
        for (unsigned i = 0; good && i < expected; i++)
                good = strstr(lines->pdata[i], row->lines[i]);
        if (good)
                return;
        g_autoptr(GString) all = g_string_new(NULL);
        for (unsigned i = 0; i < lines->len; i++)
                g_string_append_printf(all, "  %s\n", (char *)lines->pdata[i]);
        g_error("file:\n%sgave:\n%sexpected first: %s", row->text, all->str, row->lines[0]);
}

static void
test_errors(void)
{
        for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
                g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
                g_autoptr(Conf) conf = conf_parse("f", errors[i].text, strlen(errors[i].text), found);
                compare(&errors[i], found);
                g_assert_null(conf);
        }
}

static void
test_warnings(void)
{
        for (size_t i = 0; i < G_N_ELEMENTS(warnings); i++) {
                g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
                g_autoptr(Conf) conf = conf_parse("f", warnings[i].text, strlen(warnings[i].text), found);
                g_assert_cmpuint(found->len, ==, 0);
                compare(&warnings[i], conf->warnings);
        }
}

/* Loads what cannot be loaded and expects this one message. */
static void
assert_unloadable(const char *path, const char *expected)
{
        g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) conf = conf_load(path, found);
        g_assert_null(conf);
        g_assert_cmpuint(found->len, ==, 1);
        g_assert_true(g_str_has_prefix(found->pdata[0], path));
        if (!strstr(found->pdata[0], expected))
                g_error("%s: expected %s", (char *)found->pdata[0], expected);
}

static void
test_files(void)
{
        g_autofree char *dir = g_dir_make_tmp("conf-XXXXXX", NULL);
        g_autofree char *path = g_build_filename(dir, "f.conf", NULL);
        assert_unloadable(path, ": cannot be opened: No such file");
        assert_unloadable(dir, ": is a directory");

        g_assert_true(g_file_set_contents(path, "[http]\na\0b", 10, NULL));
        assert_unloadable(path, ":2: a NUL byte");

        g_assert_cmpint(g_chmod(path, 0), ==, 0);
        if (g_access(path, R_OK) != 0)
                assert_unloadable(path, ": cannot be opened: Permission denied");

        g_assert_cmpint(g_remove(path), ==, 0);
        assert_unloadable("/dev/zero", ": is larger than 16 MiB");
        g_assert_cmpint(g_rmdir(dir), ==, 0);
}

/* Of this process alone: on a busy machine the clock on the wall says nothing of the parser. */
static double
cpu_s(void)
{
        return (double)clock() / CLOCKS_PER_SEC;
}

static void
assert_refused_soon(const GString *text)
{
        g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
        double start_s = cpu_s();
        g_autoptr(Conf) conf = conf_parse("f", text->str, text->len, found);
        g_assert_null(conf);
        g_assert_cmpuint(found->len, >, 0);
        g_assert_cmpuint(found->len, <=, 1001);
        for (unsigned i = 0; i < found->len; i++)
                g_assert_cmpuint(strlen(found->pdata[i]), <, 1000);
        g_assert_cmpfloat(cpu_s() - start_s, <, 60);
}

static void
append_times(GString *text, const char *format, int count)
{
        for (int i = 0; i < count; i++)
                g_string_append_printf(text, format, i, i); /* cppcheck-suppress wrongPrintfScanfArgNum */
}

static void
test_monstrous_files_are_refused_soon(void)
{
        g_autoptr(GString) text = g_string_new(NULL);
        append_times(text, "[g%d]\n", 100000);
        assert_refused_soon(text);

        g_string_truncate(text, 0);
        append_times(text, "[g]\n", 100000);
        assert_refused_soon(text);

        g_string_assign(text, "[east]\ncluster_member_ips = ");
        append_times(text, "x_%d,", 100000);
        g_string_append(text, "x_");
        assert_refused_soon(text);

        g_string_assign(text, "[");
        append_times(text, "aaaaaaaaaa%d", 100000);
        g_string_append(text, "]\ncluster_member_ips = a\n");
        assert_refused_soon(text);

        g_string_assign(text, "[DEFAULT]\ncluster = nobody\n");
        append_times(text, "[c%d]\ncluster_member_ips=h%d\n", 10000);
        append_times(text,
                     "[route:r%d]\nqueue=q%d\ncluster_from=fields:f\ndestination=queue:{key}.{host}\n"
                     "bind=x/a,x/b,x/c,x/d,x/e,x/#.#.#.#.#\non_no_cluster=cluster:z\n",
                     256);
        g_string_append(text, "[fields:f]\na=header:a\n");
        assert_refused_soon(text);
}

/* No message may hold any part of a URL, whatever is wrong with it. */
static void
test_errors_keep_passwords(void)
{
        static const char *const urls[] = {
            "amqp://u:S3CRET@h:x",
            "amqp://u:S3CRET/x@h",
            "amqp://u:S3CRET@x@h",
            "amqp:/u:S3CRET@h",
            "amqp://u:S3CRET%@h",
            "amqp://u:a:S3CRET@h",
            "amqp://u:S3CRET",
            "amqp://u:x,S3CRET@h",
            "amqp://u:S3CRET@h //",
            "amqp://u:x#S3CRET@h/v",
            "S3CRET",
            "amqp://u:S3CRET@h[",
        };
        for (size_t i = 0; i < G_N_ELEMENTS(urls); i++) {
                g_autofree char *text = g_strdup_printf("[broker]\nurl = %s\n", urls[i]);
                g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
                g_autoptr(Conf) conf = conf_parse("f", text, strlen(text), found);
                g_assert_null(conf);
                for (unsigned j = 0; j < found->len; j++)
                        g_assert_null(strstr(found->pdata[j], "S3CRET"));
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/conf_errors/each_has_its_message_and_line", test_errors);
        g_test_add_func("/conf_errors/warnings", test_warnings);
        g_test_add_func("/conf_errors/files", test_files);
        g_test_add_func("/conf_errors/monstrous_files_are_refused_soon",
                        test_monstrous_files_are_refused_soon);
        g_test_add_func("/conf_errors/keep_passwords", test_errors_keep_passwords);
        return g_test_run();
}
