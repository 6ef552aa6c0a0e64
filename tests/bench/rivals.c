/* SPDX-License-Identifier: MIT */
#include "tests/bench/rivals.h"

#include <cjson/cJSON.h>
#include <jansson.h>

/* jansson and cJSON: each builds a tree of the body, and one of the inner text. */

static int
find_with_jansson(const char *body, size_t length)
{
        json_t *outer = json_loadb(body, length, 0, NULL);
        json_t *text = json_object_get(outer, "oslo.message");
        json_t *inner = json_loadb(json_string_value(text) ? json_string_value(text) : "",
                                   json_string_length(text), 0, NULL);
        json_t *args = json_object_get(inner, "args");
        json_t *hints = json_object_get(json_object_get(args, "filter_properties"), "scheduler_hints");
        json_t *volume = json_object_get(json_object_get(args, "volume"), "versioned_object.data");
        int found = inner ? json_is_string(json_object_get(hints, "cluster")) +
                                json_is_string(json_object_get(volume, "availability_zone")) +
                                json_is_string(json_object_get(inner, "_msg_id")) +
                                json_is_string(json_object_get(inner, "_reply_q")) +
                                json_is_string(json_object_get(inner, "_unique_id"))
                          : -1;
        json_decref(inner);
        json_decref(outer);
        return found;
}

static cJSON *
get(const cJSON *object, const char *name)
{
        return cJSON_GetObjectItemCaseSensitive(object, name);
}

static int
find_with_cjson(const char *body, size_t length)
{
        cJSON *outer = cJSON_ParseWithLength(body, length);
        const char *text = cJSON_GetStringValue(get(outer, "oslo.message"));
        cJSON *inner = text ? cJSON_Parse(text) : NULL;
        const cJSON *args = get(inner, "args");
        const cJSON *hints = get(get(args, "filter_properties"), "scheduler_hints");
        const cJSON *volume = get(get(args, "volume"), "versioned_object.data");
        int found =
            inner ? cJSON_IsString(get(hints, "cluster")) + cJSON_IsString(get(volume, "availability_zone")) +
                        cJSON_IsString(get(inner, "_msg_id")) + cJSON_IsString(get(inner, "_reply_q")) +
                        cJSON_IsString(get(inner, "_unique_id"))
                  : -1;
        cJSON_Delete(inner);
        cJSON_Delete(outer);
        return found;
}

const Rival rival_jansson = {"jansson", find_with_jansson};
const Rival rival_cjson = {"cJSON", find_with_cjson};
