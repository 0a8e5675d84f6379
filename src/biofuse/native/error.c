#include "error.h"

bf_status
bf_fail(bf_error *err, bf_status status, const char *detail)
{
    err->status = status;
    err->detail = detail;
    return status;
}
