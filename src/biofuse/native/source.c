#define _GNU_SOURCE
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Enough for the offset table of a frame of half a GiB, in one read with the header. */
enum { HEAD_SIZE = 4096 };

static void
destroy(bf_cached *cached)
{
    bf_source *self = (bf_source *) cached;

    if (self->owns_fd) {
        close(self->fd);
    }
    free(self);
}

static bf_source *
new_source(uint64_t content)
{
    bf_source *self = calloc(1, sizeof(*self) + content);

    if (self != NULL) {
        self->cached.destroy = destroy;
        self->cached.size = sizeof(*self) + content;
        self->fd = -1;
    }
    return self;
}

static bf_status
parse_header(const uint8_t *data, uint64_t size, uint64_t frame_size, const bf_source_kind *kind,
    bf_frame_header *header, bf_error *err)
{
    if (bf_frame_parse_header(data, size, kind->raw_size, frame_size, 1, header, err) != BF_OK) {
        return err->status;
    }
    if (kind->max_block != 0 && header->block_size > kind->max_block) {
        return bf_fail(err, BF_ERR_UNSUPPORTED, "the Blosc frame has uncommonly large blocks");
    }
    return BF_OK;
}

static bf_status
read_fully(int fd, uint64_t start, uint64_t size, uint8_t *out, bf_error *err)
{
    while (size > 0) {
        ssize_t got = pread(fd, out, size, (off_t) start);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return bf_fail(err, BF_ERR_READ, "a chunk cannot be read");
        }
        out += got;
        start += (uint64_t) got;
        size -= (uint64_t) got;
    }
    return BF_OK;
}

static uint64_t
nanoseconds(struct timespec time)
{
    return (uint64_t) time.tv_sec * 1000000000u + (uint64_t) time.tv_nsec;
}

/* Look at an open file: it must be what it was when the store was opened. */
static bf_status
check_file(int fd, uint64_t opened_ns, struct stat *status, bf_error *err)
{
    if (fstat(fd, status) != 0 || !S_ISREG(status->st_mode)) {
        return bf_fail(err, BF_ERR_READ, "a chunk is no regular file");
    }
    if (opened_ns != 0 && nanoseconds(status->st_ctim) > opened_ns) {
        return bf_fail(err, BF_ERR_READ, "a chunk was changed");
    }
    return BF_OK;
}

/* The same for the folder that it is in, which another may have been moved to; an array's own is
 * watched by who opens its chunks. */
static bf_status
check_folder(int root, const char *path, uint64_t opened_ns, bf_error *err)
{
    const char *first = strchr(path, '/'), *last = strrchr(path, '/');
    char folder[BF_MAX_PATH];
    struct stat status;

    if (opened_ns == 0 || first == last) {
        return BF_OK;
    }
    if ((size_t) (last - path) >= sizeof(folder)) {
        return bf_fail(err, BF_ERR_READ, "a chunk's path is too long");
    }
    memcpy(folder, path, (size_t) (last - path));
    folder[last - path] = 0;
    if (fstatat(root, folder, &status, 0) != 0 || nanoseconds(status.st_ctim) > opened_ns) {
        return bf_fail(err, BF_ERR_READ, "a chunk's folder was changed");
    }
    return BF_OK;
}

/* A source of an open file's part, without its descriptor. */
static bf_status
read_head(int fd, uint64_t base, uint64_t size, const bf_source_kind *kind, bf_source **out,
    bf_error *err)
{
    uint8_t head[HEAD_SIZE];
    uint64_t have = size < HEAD_SIZE ? size : HEAD_SIZE, index_size;
    bf_frame_header header;
    bf_source *self;

    if (read_fully(fd, base, have, head, err) != BF_OK
        || parse_header(head, have, size, kind, &header, err) != BF_OK) {
        return err->status;
    }
    index_size = bf_frame_index_size(&header);
    self = new_source(index_size);
    if (self == NULL) {
        return bf_fail(err, BF_ERR_NOMEM, "out of memory");
    }
    memcpy(self->content, head, index_size < have ? index_size : have);
    if (index_size > have
        && read_fully(fd, base + have, index_size - have, self->content + have, err) != BF_OK) {
        free(self);
        return err->status;
    }
    self->header = header;
    self->index = self->content;
    self->frame_size = size;
    self->base = base;
    *out = self;
    return BF_OK;
}

bf_status
bf_source_open(int folder, const char *path, const bf_source_kind *kind, bf_source **out,
    bf_error *err)
{
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;

    if (fd < 0) {
        return bf_fail(err, BF_ERR_READ, "a chunk cannot be opened");
    }
    if (check_file(fd, kind->opened_ns, &status, err) != BF_OK
        || check_folder(folder, path, kind->opened_ns, err) != BF_OK
        || read_head(fd, 0, (uint64_t) status.st_size, kind, out, err) != BF_OK) {
        close(fd);
        return err->status;
    }
    (*out)->fd = fd;
    (*out)->owns_fd = 1;
    (*out)->opened_ns = kind->opened_ns;
    (*out)->version = status.st_ino ^ nanoseconds(status.st_mtim);
    return BF_OK;
}

void
bf_source_hint(const bf_source *self)
{
    if (self->fd >= 0) {
        (void) posix_fadvise(
            self->fd, (off_t) self->base, (off_t) self->frame_size, POSIX_FADV_WILLNEED);
    }
}

bf_status
bf_source_from_part(int fd, uint64_t base, uint64_t size, const bf_source_kind *kind,
    bf_source **out, bf_error *err)
{
    bf_status status = read_head(fd, base, size, kind, out, err);

    if (status == BF_OK) {
        (*out)->fd = fd;
    }
    return status;
}

bf_status
bf_source_from_bytes(const uint8_t *bytes, uint64_t size, const bf_source_kind *kind,
    bf_source **out, bf_error *err)
{
    bf_frame_header header;
    bf_source *self;

    if (parse_header(bytes, size, size, kind, &header, err) != BF_OK) {
        return err->status;
    }
    self = new_source(size);
    if (self == NULL) {
        return bf_fail(err, BF_ERR_NOMEM, "out of memory");
    }
    memcpy(self->content, bytes, size);
    self->header = header;
    self->index = self->bytes = self->content;
    self->frame_size = size;
    *out = self;
    return BF_OK;
}

bf_status
bf_source_absent(int8_t fill, const char *folder, const bf_source_kind *kind, bf_source **out,
    bf_error *err)
{
    size_t size = folder != NULL ? strlen(folder) + 1 : 0;

    *out = new_source(size);
    if (*out == NULL) {
        return bf_fail(err, BF_ERR_NOMEM, "out of memory");
    }
    if (folder != NULL) {
        memcpy((*out)->content, folder, size);
        (*out)->index = (*out)->content;
    }
    (*out)->absent = 1;
    (*out)->fill = fill;
    (*out)->opened_ns = kind->opened_ns;
    return BF_OK;
}

int
bf_source_is_absent(const bf_source *self, int root)
{
    struct stat status;

    return self->index == NULL
        || (fstatat(root, (const char *) self->index, &status, 0) == 0
            && nanoseconds(status.st_ctim) <= self->opened_ns);
}

bf_status
bf_source_read(
    const bf_source *self, uint64_t start, uint64_t stop, uint8_t *out, bf_error *err)
{
    struct stat status;

    if (self->fd < 0 || start > stop || stop > self->frame_size) {
        return bf_fail(err, BF_ERR_ARGUMENT, "there is no such part of the chunk");
    }
    if (read_fully(self->fd, self->base + start, stop - start, out, err) != BF_OK) {
        return err->status;
    }
    /* What was read before it was changed is right. */
    return self->opened_ns == 0 ? BF_OK : check_file(self->fd, self->opened_ns, &status, err);
}
