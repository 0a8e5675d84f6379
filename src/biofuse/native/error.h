/* Status codes shared by every native module, and the record that carries one
 * to the caller with the place where it arose. */
#ifndef BF_ERROR_H
#define BF_ERROR_H

#include <stdint.h>

typedef enum {
    BF_OK = 0,
    BF_ERR_NOMEM,        /* an allocation failed */
    BF_ERR_HEADER,       /* a frame's header is malformed or of the wrong size */
    BF_ERR_TRUNCATED,    /* bytes that the frame promises are not there */
    BF_ERR_OFFSET,       /* a block offset points outside the frame */
    BF_ERR_BLOCK,        /* a block does not decompress to its exact size */
    BF_ERR_UNSUPPORTED,  /* a valid frame of a kind that this reader does not take */
    BF_ERR_ARGUMENT,     /* the caller's sizes or indices are inconsistent */
    BF_ERR_ALLELE,       /* a genotype cannot be shown in the target format */
    BF_ERR_READ,         /* a chunk is not there or cannot be read */
} bf_status;

/* chunk: index of the sample chunk within the chunk row, or -1.
 * row: row within the chunk row, or -1.
 * phased: whether these are of call_genotype_phased.
 * sample: sample of the row whose alleles or values of another field are at fault, or -1.
 * detail: constant text that says what was found. */
typedef struct {
    bf_status status;
    int64_t chunk;
    int64_t row;
    int phased;
    int64_t sample;
    const char *detail;
} bf_error;

/* Fill in err and return status, so that callers can write
 * `return bf_fail(err, BF_ERR_BLOCK, "...")`. */
bf_status bf_fail(bf_error *err, bf_status status, const char *detail);

#endif
