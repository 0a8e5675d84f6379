/* Encoded chunks: Blosc frames in files or in memory, and chunks that are not stored. */
#ifndef BF_SOURCE_H
#define BF_SOURCE_H

#include "cache.h"
#include "frame.h"

#define BF_MAX_PATH 512

/* What an open file counts for where open files are bounded by their number. */
#define BF_OPEN_FILE 4096

/* What all chunks of an array have in common. */
typedef struct {
    uint64_t raw_size;  /* of a decoded chunk */
    uint64_t opened_ns; /* a file that was changed later, in ns since 1970, is not read; or 0 */
    uint32_t max_block; /* frames of larger blocks are refused */
} bf_source_kind;

typedef struct {
    bf_cached cached;
    uint64_t version; /* contents of a chunk that was replaced differ in it */
    int absent;       /* nothing is stored: every allele is fill */
    int8_t fill;
    bf_frame_header header;
    const uint8_t *index; /* header and offset table */
    uint64_t frame_size;
    const uint8_t *bytes; /* the whole frame, or NULL */
    int fd;               /* the file that it is in, from base on; or -1 */
    int owns_fd;
    uint64_t base, opened_ns;
    uint8_t content[]; /* what index or bytes point to, or the folder of an absent chunk */
} bf_source;

/* Open a file below a folder. BF_ERR_READ: it is not there, no regular file, was changed
 * since, or the folder that it is in, or cannot be read; others: it is no frame of this kind. */
bf_status bf_source_open(int folder, const char *path, const bf_source_kind *kind,
    bf_source **out, bf_error *err);

/* Have the file read ahead by the system. */
void bf_source_hint(const bf_source *self);

/* A copy of a whole frame. */
bf_status bf_source_from_bytes(const uint8_t *bytes, uint64_t size, const bf_source_kind *kind,
    bf_source **out, bf_error *err);

/* A part of a file that is open as long as the source is there. */
bf_status bf_source_from_part(int fd, uint64_t base, uint64_t size, const bf_source_kind *kind,
    bf_source **out, bf_error *err);

/* A chunk that is not stored. folder: where it is not, which must not be changed for it to
 * be so; or NULL. */
bf_status bf_source_absent(int8_t fill, const char *folder, const bf_source_kind *kind,
    bf_source **out, bf_error *err);

/* Whether a chunk that is not stored is still not there. root: what its folder is relative to. */
int bf_source_is_absent(const bf_source *self, int root);

/* Bytes [start, stop) of the frame into out. */
bf_status bf_source_read(
    const bf_source *self, uint64_t start, uint64_t stop, uint8_t *out, bf_error *err);

#endif
