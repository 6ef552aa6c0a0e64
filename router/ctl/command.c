/* SPDX-License-Identifier: MIT */
/*
 * Options may stand anywhere, so the vector is read in two steps: options are picked out first, and the words
 * that remain are noun, verb and arguments. A word that is nearly right gets the right one in the answer.
 */
#include "router/ctl/command.h"

#include "conf/conf_nearest.h"

#include <stdio.h>
#include <string.h>

static const char *const option_words[] = {"-c", "--config", "-o",        "--output",
                                           "-h", "--help",   "--version", NULL};

static const char DEFAULT_CONF_PATH[] = "/etc/cluster-router/cluster-router.conf";

void
request_clear(Request *request)
{
        g_clear_pointer(&request->arguments, g_ptr_array_unref);
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

/* If @word is the option @letter or @name: true, with its value from the same word or the next. */
static bool
take_value(const char *const **words, char letter, const char *name, const char **out_value)
{
        const char *word = **words;
        size_t length = strlen(name);

        if (word[0] == '-' && word[1] == letter && word[2] != '\0') {
                *out_value = word + 2;
                return true;
        }
        if (strncmp(word, name, length) == 0 && word[length] == '=') {
                *out_value = word + length + 1;
                return true;
        }
        if (strcmp(word, name) != 0 && !(word[0] == '-' && word[1] == letter))
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

static bool
read_option(Request *request, const char *const **words, char **out_error)
{
        const char *word = **words, *value = NULL;

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
                return refuse_word(out_error, "option", word, option_words);
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
read_options(Request *request, const char *const *words, char **out_error)
{
        bool only_words = false;

        for (; *words; words++) {
                if (!only_words && strcmp(*words, "--") == 0)
                        only_words = true;
                else if (only_words || (*words)[0] != '-' || (*words)[1] == '\0')
                        g_ptr_array_add(request->arguments, (gpointer)*words);
                else if (!read_option(request, &words, out_error))
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
        if (!read_options(&request, argv + 1, out_error) || !find_command(nouns, &request, out_error))
                return false;
        if (request.command && request.kind == REQUEST_RUN && !check_count(&request, out_error))
                return false;
        g_ptr_array_add(request.arguments, NULL);
        *out_request = request;
        request.arguments = NULL;
        return true;
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
    "Exit: 0 done, 1 a check said no, 64 usage, 65 bad data, 69 something is not\n"
    "reachable, 75 try again, 78 configuration.\n";

static void
append_commands(GString *out, const Command *command)
{
        for (; command->noun; command++) {
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
                g_string_append_printf(out, "usage: %s\n\n%s.\n\n%s\n", usage, command->summary,
                                       command->help);
        } else if (request->noun) {
                g_string_append_printf(out, "usage: clusterctl %s VERB\n\n", request->noun);
                append_commands(out, find_noun(nouns, request->noun));
                g_string_append_printf(out, "\nMore: clusterctl %s VERB --help\n\n", request->noun);
        } else {
                g_string_append(out, "usage: clusterctl [-c FILE] [-o table|json] NOUN [VERB] [ARGUMENTS]\n\n"
                                     "Asks and changes what a cluster router does.\n\n");
                for (; *nouns; nouns++)
                        append_commands(out, *nouns);
                g_string_append(out, "\nMore: clusterctl NOUN [VERB] --help\n\n");
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
