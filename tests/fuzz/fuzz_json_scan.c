/* SPDX-License-Identifier: MIT */
#include "tests/support/json_oracle.h"

/*
 * The scanner against jansson. An input that does not begin as JSON is also tried as the inner text of an
 * oslo envelope, as it stands, so that the fuzzer finds its way into both levels.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_inside(const JsonOracle *oracle, const uint8_t *data, size_t size)
{
        g_autoptr(GString) body = g_string_new("{\"oslo.message\": \"");
        g_string_append_len(body, (const char *)data, (gssize)size);
        g_string_append(body, "\"}");
        json_oracle_check(oracle, body->str, body->len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        JsonOracle oracle;
        json_oracle_init(&oracle);
        json_oracle_check(&oracle, size > 0 ? (const char *)data : "", size);
        if (size > 0 && data[0] != '{' && data[0] != '[')
                check_inside(&oracle, data, size);
        json_oracle_clear(&oracle);
        return 0;
}
