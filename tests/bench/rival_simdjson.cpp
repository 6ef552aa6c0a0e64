/* SPDX-License-Identifier: MIT */
#include "tests/bench/rivals.h"

#include <simdjson.h>

/*
 * simdjson On Demand: both documents are gone through in the order in which they are written, what is not asked
 * for is skipped, parsers are reused, and the inner text is read where the first parser has put it.
 */

using namespace simdjson;

namespace {

ondemand::parser outer_parser, inner_parser;

int
is_text(simdjson_result<ondemand::value> value)
{
        std::string_view text;
        return value.get_string().get(text) == SUCCESS;
}

/* The field of that name in an object, as text. */
int
find_text(simdjson_result<ondemand::value> object, const char *name)
{
        return is_text(object.find_field(name));
}

int
find_in_arguments(ondemand::object arguments)
{
        int found = 0;
        for (auto field : arguments) {
                ondemand::raw_json_string key = field.key();
                if (key == "filter_properties")
                        found += find_text(field.value().find_field("scheduler_hints"), "cluster");
                else if (key == "volume")
                        found += find_text(field.value().find_field("versioned_object.data"), "availability_zone");
        }
        return found;
}

int
find_in_message(ondemand::object message)
{
        int found = 0;
        for (auto field : message) {
                ondemand::raw_json_string key = field.key();
                if (key == "args")
                        found += find_in_arguments(field.value().get_object());
                else if (key == "_msg_id" || key == "_reply_q" || key == "_unique_id")
                        found += is_text(field.value());
        }
        return found;
}

int
find(const char *body, size_t length)
{
        try {
                auto outer = outer_parser.iterate(body, length, length + RIVAL_PADDING_BYTES);
                std::string_view text = outer.find_field("oslo.message").get_string();
                /* Behind it is room: the parser's buffer is larger than the body. */
                auto inner = inner_parser.iterate(text.data(), text.size(), text.size() + SIMDJSON_PADDING);
                return find_in_message(inner.get_object());
        } catch (const simdjson_error &) {
                return -1;
        }
}

} // namespace

extern "C" {
extern const Rival rival_simdjson;
const Rival rival_simdjson = {"simdjson", find};
}
