/* SPDX-License-Identifier: MIT */
#include "cluster/redis_link.h"
#include "tests/live/registry_world.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* A redis that answers, but not as it should: slow, a replica, locked, loading, another database, an old
 * snapshot, another time of day. The view stays what it was. */

/* Runs one command with a link of its own; its answer may be an error. */
static void
tell(const World *world, const char *command)
{
        g_autoptr(RedisLink) link = redis_link_new(world->redis_url, DEADLINE_MS, NULL);
        g_assert_true(redis_link_open(link, NULL));
        redis_link_send(link, command);
        g_autoptr(redisReply) reply = redis_link_receive(link, NULL);
        if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
                g_error("%s: %s", command, reply != NULL ? reply->str : "no answer");
}

static void
beat_all_and_start(World *world)
{
        beat(world, "east", "e1");
        beat(world, "east", "e2");
        beat(world, "west", "w1");
        start(world, EAST WEST);
        expect_now(world, "east(2/2) west(1/1)");
}

static bool
set_up(World *world)
{
        if (!world_init(world))
                return false;
        beat_all_and_start(world);
        return true;
}

static void
expect_lost_and_unchanged(World *world)
{
        g_assert_true(live_wait(DEADLINE_MS, redis_is_lost, world->registry));
        g_usleep((TTL_MS + 500) * 1000);
        expect_now(world, "east(2/2) west(1/1)");
}

static void
test_a_sleeping_redis_changes_nothing(void)
{
        g_auto(World) world;
        if (!set_up(&world))
                return;
        tell(&world, "DEBUG SLEEP 2");
        g_assert_true(live_wait(DEADLINE_MS, redis_is_fine, world.registry));
        expect_now(&world, "east(2/2) west(1/1)");
}

static void
test_a_replica_without_its_master_changes_nothing(void)
{
        g_auto(World) world;
        if (!set_up(&world))
                return;
        tell(&world, "CONFIG SET replica-serve-stale-data no");
        tell(&world, "REPLICAOF 127.0.0.1 1");
        expect_lost_and_unchanged(&world);
        tell(&world, "REPLICAOF NO ONE");
        g_assert_true(live_wait(DEADLINE_MS, redis_is_fine, world.registry));
}

static void
test_a_read_only_redis_is_read(void)
{
        g_auto(World) world;
        if (!set_up(&world))
                return;
        tell(&world, "REPLICAOF 127.0.0.1 1");
        RegistryStatus before, after;
        registry_get_status(world.registry, &before);
        do {
                registry_poke(world.registry);
                registry_get_status(world.registry, &after);
        } while (after.redis_ok_us < before.redis_ok_us + 500 * 1000);
        g_assert_cmpint(after.redis, ==, SOURCE_OK);
        expect_now(&world, "east(2/2) west(1/1)");
}

/* Those who are connected already need no password. */
static void
drop_clients(const World *world)
{
        g_autofree char *url = g_strdup_printf("redis://:secret-word@127.0.0.1:%u", world->port);
        g_autoptr(RedisLink) link = redis_link_new(url, DEADLINE_MS, NULL);
        g_assert_true(redis_link_open(link, NULL));
        redis_link_send(link, "CLIENT KILL TYPE normal SKIPME yes");
        g_autoptr(redisReply) reply = redis_link_receive(link, NULL);
        g_assert_cmpint(reply->type, ==, REDIS_REPLY_INTEGER);
}

static void
test_a_password_that_is_asked_for_changes_nothing(void)
{
        g_auto(World) world;
        if (!set_up(&world))
                return;
        tell(&world, "CONFIG SET requirepass secret-word");
        drop_clients(&world);
        expect_lost_and_unchanged(&world);
        RegistryStatus status;
        registry_get_status(world.registry, &status);
        g_assert_nonnull(strstr(status.redis_error, "NOAUTH"));
}

static bool
is_frozen(void *registry)
{
        RegistryStatus status;
        registry_get_status(registry, &status);
        return status.frozen;
}

static bool
is_free(void *registry)
{
        return !is_frozen(registry);
}

static void
test_an_empty_database_is_not_believed_at_once(void)
{
        g_auto(World) world;
        if (!set_up(&world))
                return;
        g_autofree char *right = world.redis_url;
        world.redis_url = g_strdup_printf("redis://127.0.0.1:%u/5", world.port);
        g_autoptr(Conf) wrong = make_conf(&world, EAST WEST);
        g_assert_true(registry_reload(world.registry, wrong, NULL));
        g_assert_true(live_wait(DEADLINE_MS, is_frozen, world.registry));
        expect_now(&world, "east(2/2) west(1/1)");
        expect(&world, "east(0/2) west(0/1)"); /* after three TTLs it is */
}

static void
forget_dump(const World *world)
{
        g_autofree char *dump = g_build_filename(world->directory, "dump.rdb", NULL);
        g_remove(dump);
}

static void
test_an_old_snapshot_is_not_believed_at_once(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        tell(&world, "SAVE"); /* empty */
        beat_all_and_start(&world);
        stop_redis(&world);
        g_assert_true(live_wait(DEADLINE_MS, redis_is_lost, world.registry));
        start_redis(&world);
        g_assert_true(live_wait(DEADLINE_MS, redis_is_fine, world.registry));
        g_assert_true(is_frozen(world.registry));
        expect_now(&world, "east(2/2) west(1/1)");
        forget_dump(&world);
}

static bool
says_it_is_loading(void *registry)
{
        RegistryStatus status;
        registry_poke(registry);
        registry_get_status(registry, &status);
        return status.redis == SOURCE_LOST && strstr(status.redis_error, "LOADING") != NULL;
}

/* Ten keys a second come in, and it refuses all commands until the last is there. */
static void
test_a_loading_redis_changes_nothing(void)
{
        g_auto(World) world;
        if (!set_up(&world))
                return;
        tell(&world, "CONFIG SET rdbcompression no");
        tell(&world, "DEBUG POPULATE 30 filler 1024");
        tell(&world, "SAVE");
        stop_redis(&world);
        start_redis_slowly(&world, "100000", "Server initialized");
        g_assert_true(live_wait(DEADLINE_MS, says_it_is_loading, world.registry));
        expect_now(&world, "east(2/2) west(1/1)");
        program_wait_line(world.redis, "Ready to accept connections", DEADLINE_MS);
        g_assert_true(live_wait(DEADLINE_MS, redis_is_fine, world.registry));
        expect_now(&world, "east(2/2) west(1/1)");
        forget_dump(&world);
}

/* ---- the time of day of the machine redis runs on ---- */

typedef struct {
        char *path;
        int fd;
} Clock;

/* In place, since it is mapped. */
static void
jump(const Clock *clock, int64_t seconds)
{
        g_assert_cmpint(pwrite(clock->fd, &seconds, sizeof(seconds), 0), ==, sizeof(seconds));
}

/* Only redis runs by it. */
static bool
set_up_with_clock(World *world, Clock *clock)
{
        const char *library = live_env("SHIFTED_CLOCK");
        if (library == NULL)
                return false;
        clock->fd = g_file_open_tmp("registry-clock-XXXXXX", &clock->path, NULL);
        jump(clock, 0);
        g_setenv("SHIFTED_CLOCK_FILE", clock->path, TRUE);
        g_setenv("LD_PRELOAD", library, TRUE);
        bool fine = world_init(world);
        g_unsetenv("LD_PRELOAD"); /* before there are threads */
        if (fine)
                beat_all_and_start(world);
        return fine;
}

static void
clock_free(Clock *clock)
{
        close(clock->fd);
        g_unlink(clock->path);
        g_free(clock->path);
}

/* All has expired at once. */
static void
test_a_clock_set_forward_kills_nobody(void)
{
        g_auto(World) world = {0};
        Clock clock;
        if (!set_up_with_clock(&world, &clock))
                return;
        jump(&clock, 3600);
        g_assert_true(live_wait(DEADLINE_MS, is_frozen, world.registry));
        expect_now(&world, "east(2/2) west(1/1)");
        beat(&world, "east", "e1");
        beat(&world, "east", "e2");
        beat(&world, "west", "w1");
        g_assert_true(live_wait(DEADLINE_MS, is_free, world.registry));
        expect_now(&world, "east(2/2) west(1/1)");
        clock_free(&clock);
}

/* What was written before expires an hour late; whoever has beaten since expires in time. */
static void
test_a_clock_set_back_hides_only_deaths_of_before(void)
{
        g_auto(World) world = {0};
        Clock clock;
        if (!set_up_with_clock(&world, &clock))
                return;
        jump(&clock, -3600);
        beat(&world, "east", "e1");
        expect_now(&world, "east(2/2) west(1/1)");
        expect(&world, "east(1/2) west(1/1)");
        clock_free(&clock);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        signal(SIGPIPE, SIG_IGN);
        g_log_set_always_fatal(G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL); /* warnings are part of the job */
#define TEST(name, function) g_test_add_func("/registry-trouble/" name, test_##function)
        TEST("a-sleeping-redis-changes-nothing", a_sleeping_redis_changes_nothing);
        TEST("a-replica-without-its-master-changes-nothing", a_replica_without_its_master_changes_nothing);
        TEST("a-read-only-redis-is-read", a_read_only_redis_is_read);
        TEST("a-password-that-is-asked-for-changes-nothing", a_password_that_is_asked_for_changes_nothing);
        TEST("an-empty-database-is-not-believed-at-once", an_empty_database_is_not_believed_at_once);
        TEST("an-old-snapshot-is-not-believed-at-once", an_old_snapshot_is_not_believed_at_once);
        TEST("a-loading-redis-changes-nothing", a_loading_redis_changes_nothing);
        TEST("a-clock-set-forward-kills-nobody", a_clock_set_forward_kills_nobody);
        TEST("a-clock-set-back-hides-only-deaths-of-before", a_clock_set_back_hides_only_deaths_of_before);
        return g_test_run();
}
