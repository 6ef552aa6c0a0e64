/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <stdint.h>
#include <string.h>

/*
 * Runs a fuzz target over the files of one folder, as a test: what a fuzzer once found stays found, with any
 * compiler. Each input is also cut in half, since a text that ends too early is what parsers forget.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From a block of just that size, so that the address sanitizer sees the first byte read too far. */
static void
run_input(const char *text, size_t length)
{
        g_autofree uint8_t *exact = g_memdup2(text, length);

        LLVMFuzzerTestOneInput(exact, length);
}

static void
test_file(gconstpointer user_data)
{
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;
        size_t length = 0;

        g_file_get_contents(user_data, &text, &length, &error);
        g_assert_no_error(error);
        run_input(text, length);
        run_input(text, length / 2);
}

static void
add_file(const char *folder, const char *file)
{
        g_autofree char *name = g_strconcat("/corpus/", file, NULL);

        g_test_add_data_func_full(name, g_build_filename(folder, file, NULL), test_file, g_free);
}

int
main(int argc, char **argv)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(GDir) folder = NULL;
        const char *file = NULL;

        g_test_init(&argc, &argv, NULL);
        if (argc != 2)
                g_error("usage: %s CORPUS-FOLDER", argv[0]);
        folder = g_dir_open(argv[1], 0, &error);
        g_assert_no_error(error);
        while ((file = g_dir_read_name(folder)) != NULL)
                add_file(argv[1], file);
        return g_test_run();
}
