/* SPDX-License-Identifier: MIT */

/*
 * The only reader of the file format. GKeyFile would read the same syntax, but knows no line numbers and
 * merges groups that stand twice without a word.
 *
 * Bytes are judged before lines: a NUL or a broken character ends the reading, since nothing behind it can be
 * trusted to be text. Everything later may treat names and values as ordinary UTF-8 strings.
 */

#include "conf/conf_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *
read_all(ConfFaults *faults, int fd, size_t *out_length)
{
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        for (;;) {
                guint8 chunk[16384];
                ssize_t got = read(fd, chunk, sizeof(chunk));
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0) {
                        conf_faults_error(faults, 0, "cannot be read: %s", g_strerror(errno));
                        return NULL;
                }
                if (got == 0)
                        break;
                g_byte_array_append(bytes, chunk, (guint)got);
                if (bytes->len > CONF_FILE_MAX_BYTES) {
                        conf_faults_error(faults, 0, "is larger than 16 MiB: surely not a configuration");
                        return NULL;
                }
        }
        *out_length = bytes->len;
        g_byte_array_append(bytes, (const guint8 *)"", 1);
        return (char *)g_byte_array_free(g_steal_pointer(&bytes), FALSE);
}

char *
conf_read_file(ConfFaults *faults, size_t *out_length, bool *out_is_public)
{
        int fd = open(faults->path, O_RDONLY | O_CLOEXEC);
        struct stat status;
        if (fd < 0 || fstat(fd, &status) < 0) {
                conf_faults_error(faults, 0, "cannot be opened: %s", g_strerror(errno));
                return NULL;
        }
        char *bytes = NULL;
        if (S_ISDIR(status.st_mode))
                conf_faults_error(faults, 0, "is a directory; name the file in it");
        else
                bytes = read_all(faults, fd, out_length);
        close(fd);
        *out_is_public = S_ISREG(status.st_mode) && (status.st_mode & S_IROTH);
        return bytes;
}

static unsigned
line_of(const char *bytes, const char *place)
{
        unsigned line = 1;
        for (const char *at = bytes; at < place; at++)
                line += *at == '\n';
        return line;
}

static bool
is_text(ConfFaults *faults, const char *bytes, size_t length)
{
        if (length > CONF_FILE_MAX_BYTES) {
                conf_faults_error(faults, 0, "is larger than 16 MiB: surely not a configuration");
                return false;
        }
        const char *nul = memchr(bytes, '\0', length);
        if (nul) {
                conf_faults_error(faults, line_of(bytes, nul), "a NUL byte: this is not a text file");
                return false;
        }
        const char *end;
        if (!g_utf8_validate_len(bytes, length, &end)) {
                conf_faults_error(faults, line_of(bytes, end),
                                  "not UTF-8: convert the file, for example with iconv");
                return false;
        }
        return true;
}

static char *
trimmed(const char *start, const char *end)
{
        while (start < end && g_ascii_isspace(*start))
                start++;
        while (end > start && g_ascii_isspace(end[-1]))
                end--;
        return g_strndup(start, (gsize)(end - start));
}

/* The group of a `[name]` line, or NULL if it has none; a group that stands twice is read on into the first.
 */
static ConfGroup *
read_header(ConfFaults *faults, ConfText *text, const char *line, unsigned number)
{
        size_t length = strlen(line);
        if (length < 3 || line[length - 1] != ']' || strcspn(line + 1, "[]") != length - 2) {
                g_autofree char *quoted = conf_quote(line);
                conf_faults_error(faults, number, "%s is no group; write [NAME] alone on its line", quoted);
                return NULL;
        }
        g_autofree char *name = g_strndup(line + 1, length - 2);
        ConfGroup *group = conf_text_find(text, name);
        if (group) {
                g_autofree char *quoted = conf_quote(name);
                conf_faults_error(faults, number, "group %s stands twice, first on line %u", quoted,
                                  group->line);
                return group;
        }
        return conf_text_add(text, g_steal_pointer(&name), number);
}

static void
read_entry(ConfFaults *faults, ConfGroup *group, const char *line, unsigned number)
{
        const char *equals = strchr(line, '=');
        g_autofree char *key = equals ? trimmed(line, equals) : NULL;
        if (!key || !*key) {
                /* Not quoted: a line that went wrong may hold a password. */
                conf_faults_error(faults, number, "neither [GROUP] nor KEY = VALUE nor a # comment");
                return;
        }
        const ConfEntry *earlier = conf_group_find(group, key);
        g_autofree char *quoted = conf_quote(key);
        if (!group)
                conf_faults_error(faults, number, "key %s stands in no group", quoted);
        else if (earlier)
                conf_faults_error(faults, number, "key %s stands twice in this group, first on line %u",
                                  quoted, earlier->line);
        else
                conf_group_add(group, g_steal_pointer(&key), trimmed(equals + 1, equals + strlen(equals)),
                               number);
}

static const char *
skip_byte_order_mark(const char *bytes, size_t length)
{
        return length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? bytes + 3 : bytes;
}

ConfText *
conf_read_text(ConfFaults *faults, const char *bytes, size_t length)
{
        ConfText *text = conf_text_new();
        if (length == 0 || !is_text(faults, bytes, length))
                return text;

        const char *end = bytes + length;
        ConfGroup *group = NULL;
        bool after_bad_header = false;
        unsigned number = 0;
        const char *next;
        for (const char *at = skip_byte_order_mark(bytes, length); at < end; at = next) {
                const char *stop = memchr(at, '\n', (size_t)(end - at));
                stop = stop ? stop : end;
                next = stop + 1;
                number++;

                g_autofree char *line = trimmed(at, stop);
                if (*line == '[') {
                        group = read_header(faults, text, line, number);
                        after_bad_header = !group;
                } else if (*line && *line != '#' && !after_bad_header) {
                        read_entry(faults, group, line, number);
                }
        }
        return text;
}
