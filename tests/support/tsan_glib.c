/* SPDX-License-Identifier: MIT */

/*
 * Tells the thread sanitizer about GLib. Debian's GLib is not instrumented and makes its mutexes, conditions
 * and reference counts of futexes and atomics, so the sanitizer would see none of the order that they make
 * and report every use of them. These functions stand before GLib's in a program that is linked with this
 * file, call GLib's, and say what has happened. The order is made by the locks alone, as the contract of a
 * condition has it, so signalling one makes none here: who waits without a lock in common is reported.
 *
 * What is harmless in GLib itself is kept from happening, since to suppress a report takes the program a
 * second.
 */
#include <dlfcn.h>
#include <glib.h>
#include <sanitizer/tsan_interface.h>
#include <time.h>

/* GLib's function of that name. Looked up at the first call, since libraries call before constructors of ours
 * run. */
#define REAL(function)                                                                                       \
        ({                                                                                                   \
                static __typeof__(&function) real;                                                           \
                __typeof__(real) known = __atomic_load_n(&real, __ATOMIC_RELAXED);                           \
                if (known == NULL)                                                                           \
                        known = dlsym(RTLD_NEXT, #function);                                                 \
                __atomic_store_n(&real, known, __ATOMIC_RELAXED);                                            \
                known;                                                                                       \
        })

void
g_mutex_init(GMutex *mutex)
{
        REAL(g_mutex_init)(mutex);
        __tsan_mutex_create(mutex, 0);
}

void
g_mutex_clear(GMutex *mutex)
{
        __tsan_mutex_destroy(mutex, 0);
        REAL(g_mutex_clear)(mutex);
}

void
g_mutex_lock(GMutex *mutex)
{
        __tsan_mutex_pre_lock(mutex, 0);
        REAL(g_mutex_lock)(mutex);
        __tsan_mutex_post_lock(mutex, 0, 0);
}

gboolean
g_mutex_trylock(GMutex *mutex)
{
        __tsan_mutex_pre_lock(mutex, __tsan_mutex_try_lock);
        gboolean locked = REAL(g_mutex_trylock)(mutex);
        __tsan_mutex_post_lock(mutex, __tsan_mutex_try_lock | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
        return locked;
}

void
g_mutex_unlock(GMutex *mutex)
{
        __tsan_mutex_pre_unlock(mutex, 0);
        REAL(g_mutex_unlock)(mutex);
        __tsan_mutex_post_unlock(mutex, 0);
}

static void
leave(GMutex *mutex)
{
        __tsan_mutex_pre_unlock(mutex, 0);
        __tsan_mutex_post_unlock(mutex, 0);
}

static void
enter(GMutex *mutex)
{
        __tsan_mutex_pre_lock(mutex, 0);
        __tsan_mutex_post_lock(mutex, 0, 0);
}

void
g_cond_wait(GCond *cond, GMutex *mutex)
{
        leave(mutex);
        REAL(g_cond_wait)(cond, mutex);
        enter(mutex);
}

gboolean
g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time)
{
        leave(mutex);
        gboolean in_time = REAL(g_cond_wait_until)(cond, mutex, end_time);
        enter(mutex);
        return in_time;
}

/* Whoever drops the last reference sees what the others have done. */
gboolean
g_atomic_ref_count_dec(gatomicrefcount *count)
{
        __tsan_release(count);
        gboolean last = REAL(g_atomic_ref_count_dec)(count);
        if (last)
                __tsan_acquire(count);
        return last;
}

/* GLib writes the time of a log line by this; the C library has one result for all threads. */
struct tm *
localtime(const time_t *time)
{
        static __thread struct tm result;

        return localtime_r(time, &result);
}

/* GLib makes the lock of its error domains at the first error. Here that is before there are threads. */
__attribute__((constructor)) static void
make_first_error(void)
{
        g_error_free(g_error_new_literal(g_quark_from_static_string("first"), 0, ""));
}
