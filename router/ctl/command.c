/* SPDX-License-Identifier: MIT */
/*
 * Options may stand anywhere, so the vector is read in two steps: options are picked out first, and the words
 * that remain are noun, verb and arguments. A word that is nearly right gets the right one in the answer.
 */
#include "router/ctl/command.h"

#include "conf/conf_nearest.h"
#include "conf/conf_value.h"

#include <stdio.h>
#include <string.h>

static const char *const option_words[] = {"-c", "--config", "-o",        "--output",
                                           "-h", "--help",   "--version", NULL};

static const char DEFAULT_CONF_PATH[] = "/etc/cluster-router/cluster-router.conf";

void
request_clear(Request *request)
{
        g_clear_pointer(&request->arguments, g_ptr_array_unref);
        g_clear_pointer(&request->options.given, g_hash_table_unref);
}

static bool
refuse(char **out_error, char *message)
{
        *out_error = message;
        return false;
}

static bool
refuse_word(char **out_error, const char *what, const char *word, const char *const *words)
{
        g_autofree char *suggestion = conf_suggest(word, words);
        g_autofree char *escaped = g_strescape(word, NULL);

        return refuse(out_error, g_strdup_printf("unknown %s \"%s\"%s", what, escaped, suggestion));
}

/* --- options --- */

/* If @word is the option @letter (0: it has none) or @name: true, with its value from the same word or the
 * next. */
static bool
take_value(const char *const **words, char letter, const char *name, const char **out_value)
{
        const char *word = **words;
        size_t length = strlen(name);

        bool is_letter = letter && word[0] == '-' && word[1] == letter;

        if (is_letter && word[2] != '\0') {
                *out_value = word + 2;
                return true;
        }
        if (strncmp(word, name, length) == 0 && word[length] == '=') {
                *out_value = word + length + 1;
                return true;
        }
        if (strcmp(word, name) != 0 && !is_letter)
                return false;
        *out_value = (*words)[1];
        if (*out_value)
                ++*words;
        return true;
}

static bool
set_output(Request *request, const char *value, char **out_error)
{
        static const char *const formats[] = {"table", "json", NULL};

        if (!g_strv_contains(formats, value))
                return refuse_word(out_error, "output format", value, formats);
        request->options.json = strcmp(value, "json") == 0;
        return true;
}

/* The option of any command that this word names, or NULL. */
static const CommandOption *
find_option(const Command *const *nouns, const char *word)
{
        size_t length = strcspn(word, "=");

        for (; *nouns; nouns++)
                for (const Command *command = *nouns; command->noun; command++)
                        for (const CommandOption *option = command->options; option && option->name; option++)
                                if (strlen(option->name) == length &&
                                    strncmp(option->name, word, length) == 0)
                                        return option;
        return NULL;
}

static void
add_options(GPtrArray *words, const Command *verbs)
{
        for (const Command *command = verbs; command->noun; command++)
                for (const CommandOption *option = command->options; option && option->name; option++)
                        g_ptr_array_add(words, (gpointer)option->name);
}

/* Told is the nearest option of the noun, if one stands before it. */
static bool
refuse_option(const Command *const *nouns, const Request *request, const char *word, char **out_error)
{
        const char *noun = request->arguments->len > 0 ? request->arguments->pdata[0] : NULL;
        g_autoptr(GPtrArray) words = g_ptr_array_new();

        for (size_t i = 0; option_words[i]; i++)
                g_ptr_array_add(words, (gpointer)option_words[i]);
        for (; *nouns; nouns++)
                if (noun == NULL || strcmp((*nouns)->noun, noun) == 0)
                        add_options(words, *nouns);
        g_ptr_array_add(words, NULL);
        return refuse_word(out_error, "option", word, (const char *const *)words->pdata);
}

static bool
read_command_option(Request *request, const CommandOption *option, const char *const **words,
                    char **out_error)
{
        const char *word = **words, *value = "";

        if (option->value && (!take_value(words, 0, option->name, &value) || !value || !value[0]))
                return refuse(out_error,
                              g_strdup_printf("option %s needs a value: %s", option->name, option->value));
        if (!option->value && strchr(word, '='))
                return refuse(out_error, g_strdup_printf("option %s takes no value", option->name));
        g_hash_table_insert(request->options.given, (gpointer)option->name, (gpointer)value);
        return true;
}

static bool
read_option(const Command *const *nouns, Request *request, const char *const **words, char **out_error)
{
        const char *word = **words, *value = NULL;
        const CommandOption *option = find_option(nouns, word);

        if (option)
                return read_command_option(request, option, words, out_error);
        if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
                request->kind = REQUEST_HELP;
                return true;
        }
        if (strcmp(word, "--version") == 0) {
                request->kind = REQUEST_VERSION;
                return true;
        }

        bool is_conf = take_value(words, 'c', "--config", &value);
        if (!is_conf && !take_value(words, 'o', "--output", &value))
                return refuse_option(nouns, request, word, out_error);
        if (value == NULL || value[0] == '\0')
                return refuse(out_error, g_strdup_printf("option %s needs %s", word,
                                                         is_conf ? "a file name" : "table or json"));
        if (!is_conf)
                return set_output(request, value, out_error);
        request->options.conf_path = value;
        return true;
}

/* Picks options out of argv; what is left stands in request->arguments. */
static bool
read_options(const Command *const *nouns, Request *request, const char *const *words, char **out_error)
{
        bool only_words = false;

        for (; *words; words++) {
                if (!only_words && strcmp(*words, "--") == 0)
                        only_words = true;
                else if (only_words || (*words)[0] != '-' || (*words)[1] == '\0')
                        g_ptr_array_add(request->arguments, (gpointer)*words);
                else if (!read_option(nouns, request, &words, out_error))
                        return false;
        }
        return true;
}

/* --- nouns and verbs --- */

static const Command *
find_noun(const Command *const *nouns, const char *noun)
{
        for (; *nouns; nouns++)
                if (strcmp((*nouns)->noun, noun) == 0)
                        return *nouns;
        return NULL;
}

static bool
refuse_noun(const Command *const *nouns, const char *noun, char **out_error)
{
        g_autoptr(GPtrArray) words = g_ptr_array_new();

        for (; *nouns; nouns++)
                g_ptr_array_add(words, (gpointer)(*nouns)->noun);
        g_ptr_array_add(words, NULL);
        return refuse_word(out_error, "noun", noun, (const char *const *)words->pdata);
}

static bool
refuse_verb(const Command *verbs, const char *verb_or_null, char **out_error)
{
        g_autoptr(GPtrArray) words = g_ptr_array_new();
        const char *noun = verbs->noun;

        for (; verbs->noun; verbs++)
                g_ptr_array_add(words, (gpointer)verbs->verb);
        g_ptr_array_add(words, NULL);
        if (verb_or_null) {
                g_autofree char *what = g_strdup_printf("verb for %s:", noun);
                return refuse_word(out_error, what, verb_or_null, (const char *const *)words->pdata);
        }
        g_autofree char *list = g_strjoinv(", ", (char **)words->pdata);
        return refuse(out_error, g_strdup_printf("%s needs a verb: %s", noun, list));
}

static char *
spell_usage(const Command *command)
{
        return g_strdup_printf("clusterctl %s%s%s%s%s", command->noun, command->verb ? " " : "",
                               command->verb ? command->verb : "", command->arguments[0] ? " " : "",
                               command->arguments);
}

static bool
check_count(const Request *request, char **out_error)
{
        const Command *command = request->command;
        unsigned count = request->arguments->len;

        if (count >= command->min_arguments && count <= command->max_arguments)
                return true;
        g_autofree char *usage = spell_usage(command);
        return refuse(out_error,
                      g_strdup_printf("%s arguments; usage: %s",
                                      count < command->min_arguments ? "too few" : "too many", usage));
}

/* Takes noun and verb off the front of the words. */
static bool
find_command(const Command *const *nouns, Request *request, char **out_error)
{
        GPtrArray *words = request->arguments;
        const Command *command = NULL;

        if (words->len == 0)
                return request->kind != REQUEST_RUN ||
                       refuse(out_error, g_strdup("what is asked? See clusterctl --help"));
        command = find_noun(nouns, words->pdata[0]);
        if (command == NULL)
                return refuse_noun(nouns, words->pdata[0], out_error);
        request->noun = command->noun;
        g_ptr_array_remove_index(words, 0);
        if (command->verb == NULL) {
                request->command = command;
                return true;
        }
        if (words->len == 0)
                return request->kind == REQUEST_HELP || refuse_verb(command, NULL, out_error);

        for (const Command *verb = command; verb->noun && !request->command; verb++)
                if (strcmp(verb->verb, words->pdata[0]) == 0)
                        request->command = verb;
        if (request->command == NULL)
                return refuse_verb(command, words->pdata[0], out_error);
        g_ptr_array_remove_index(words, 0);
        return true;
}

/* Options were read before the command was known. */
static bool
check_options(const Request *request, char **out_error)
{
        const Command *command = request->command;
        g_autoptr(GPtrArray) words = g_ptr_array_new();
        GHashTableIter iter;
        gpointer name;

        for (const CommandOption *option = command->options; option && option->name; option++)
                g_ptr_array_add(words, (gpointer)option->name);
        g_ptr_array_add(words, NULL);
        g_hash_table_iter_init(&iter, request->options.given);
        while (g_hash_table_iter_next(&iter, &name, NULL)) {
                if (g_strv_contains((const char *const *)words->pdata, name))
                        continue;
                g_autofree char *what =
                    g_strdup_printf("option for %s%s%s:", command->noun, command->verb ? " " : "",
                                    command->verb ? command->verb : "");
                return refuse_word(out_error, what, name, (const char *const *)words->pdata);
        }
        return true;
}

static const char *
default_conf_path(void)
{
        const char *path = g_getenv("CLUSTER_ROUTER_CONF");

        return path && path[0] ? path : DEFAULT_CONF_PATH;
}

bool
request_parse(const Command *const *nouns, const char *const *argv, Request *out_request, char **out_error)
{
        g_auto(Request) request = {.kind = REQUEST_RUN, .arguments = g_ptr_array_new()};

        request.options.conf_path = default_conf_path();
        request.options.given = g_hash_table_new(g_str_hash, g_str_equal);
        if (!read_options(nouns, &request, argv + 1, out_error) || !find_command(nouns, &request, out_error))
                return false;
        if (request.command && request.kind == REQUEST_RUN &&
            (!check_options(&request, out_error) || !check_count(&request, out_error)))
                return false;
        g_ptr_array_add(request.arguments, NULL);
        *out_request = request;
        request.arguments = NULL;
        request.options.given = NULL;
        return true;
}

const char *
options_get(const Options *options, const char *name)
{
        return g_hash_table_lookup(options->given, name);
}

bool
options_get_number(const Options *options, const char *name, ConfUnit unit, const char *least,
                   const char *most, uint64_t *out_number)
{
        const char *text = options_get(options, name);
        g_autoptr(ConfFaults) faults = conf_faults_new("option");
        g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
        ConfPlace place = {.faults = faults, .key = name};

        if (text == NULL || conf_value_number(&place, text, unit, least, most, out_number))
                return true;
        conf_faults_append_to(faults, faults->errors, lines);
        command_fail(EXIT_USAGE, "%s", (const char *)lines->pdata[0]);
        return false;
}

/* --- help --- */

static const char options_help[] = "Options, before or after the noun:\n"
                                   "  -c, --config FILE        the router's configuration; default:\n"
                                   "                           $CLUSTER_ROUTER_CONF, else\n"
                                   "                           /etc/cluster-router/cluster-router.conf\n"
                                   "  -o, --output table|json  for people (default) or for programs\n"
                                   "  -h, --help               of the program, a noun or a verb\n"
                                   "      --version\n";

static const char exit_help[] =
    "Exit: 0 done, 1 a check said no, 2 doctor found errors, 64 usage, 65 bad data,\n"
    "69 something is not reachable, 75 try again, 78 configuration.\n";

static void
append_options(GString *out, const CommandOption *options)
{
        if (options == NULL)
                return;
        g_string_append(out, "Options of this command:\n");
        for (; options->name; options++) {
                g_autofree char *spelled =
                    g_strconcat(options->name, options->value ? " " : NULL, options->value, NULL);

                g_string_append_printf(out, "  %-24s %s\n", spelled, options->help);
        }
        g_string_append_c(out, '\n');
}

static void
append_commands(GString *out, const Command *command)
{
        for (; command && command->noun; command++) {
                g_autofree char *usage = spell_usage(command);

                g_string_append_printf(out, "  %-36s %s\n", usage, command->summary);
        }
}

char *
request_help(const Command *const *nouns, const Request *request)
{
        GString *out = g_string_new(NULL);
        const Command *command = request->command;

        if (command) {
                g_autofree char *usage = spell_usage(command);
                g_string_append_printf(out, "usage: %s%s\n\n%s.\n\n%s\n", usage,
                                       command->options ? " [OPTIONS]" : "", command->summary, command->help);
                append_options(out, command->options);
        } else if (request->noun) {
                g_string_append_printf(out, "usage: clusterctl %s VERB\n\n", request->noun);
                append_commands(out, find_noun(nouns, request->noun));
                g_string_append_printf(out, "\nMore: clusterctl %s VERB --help\n\n", request->noun);
        } else {
                g_string_append(out, "usage: clusterctl [-c FILE] [-o table|json] NOUN [VERB] [ARGUMENTS]\n\n"
                                     "Asks and changes what a cluster router does.\n\n");
                for (; *nouns; nouns++)
                        append_commands(out, *nouns);
                g_string_append(out, "\nMore, with options and an example: clusterctl NOUN [VERB] --help\n"
                                     "Where to begin: clusterctl status, then clusterctl doctor\n\n");
        }
        g_string_append(out, options_help);
        if (!request->noun)
                g_string_append_printf(out, "\n%s", exit_help);
        return g_string_free(out, FALSE);
}

/* --- telling the user --- */

static void
tell(const char *format, va_list values)
{
        g_autofree char *text = g_strdup_vprintf(format, values);

        fprintf(stderr, "clusterctl: %s\n", text);
}

int
command_fail(int status, const char *format, ...)
{
        va_list values;

        va_start(values, format);
        tell(format, values);
        va_end(values);
        return status;
}

void
command_warn(const char *format, ...)
{
        va_list values;

        va_start(values, format);
        tell(format, values);
        va_end(values);
}
