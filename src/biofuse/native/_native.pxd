# Declarations of the C kernels.

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "error.h" nogil:
    ctypedef enum bf_status:
        BF_OK
        BF_ERR_NOMEM
        BF_ERR_UNSUPPORTED
        BF_ERR_ALLELE
        BF_ERR_ARGUMENT

    ctypedef struct bf_error:
        bf_status status
        int64_t chunk
        int64_t row
        int phased
        int64_t sample
        const char *detail


cdef extern from "frame.h" nogil:
    ctypedef struct bf_frame_header:
        uint32_t num_bytes
        uint32_t block_size
        uint32_t num_blocks

    ctypedef struct bf_frame:
        bf_frame_header header
        const uint8_t *offsets

    enum:
        BF_FRAME_HEADER_SIZE

    bf_status bf_frame_parse_header(const uint8_t *, size_t, uint64_t, uint64_t, unsigned,
                                    bf_frame_header *, bf_error *)
    uint64_t bf_frame_index_size(const bf_frame_header *)
    bf_status bf_frame_extent(const bf_frame *, uint32_t, uint32_t, uint64_t *, uint64_t *,
                              bf_error *)


cdef extern from "planes.h" nogil:
    ctypedef struct bf_planes:
        uint8_t *plane[8]
        uint64_t capacity
        int no_sign
        int depth

    ctypedef struct bf_gather:
        const uint32_t *index
        uint32_t num_out
        const uint64_t *mask
        uint64_t mask_words

    bf_status bf_planes_alloc(bf_planes *, uint64_t, bf_error *)
    void bf_planes_free(bf_planes *)
    uint64_t bf_planes_size(const bf_planes *)
    bf_status bf_planes_from_bytes(bf_planes *, const uint8_t *, uint64_t, bf_error *)
    bf_status bf_planes_copy(bf_planes *, uint64_t, const bf_planes *, uint64_t, uint64_t,
                             bf_error *)
    int bf_gather_make_mask(const uint32_t *, uint32_t, uint32_t, uint64_t *, uint64_t)


cdef extern from "cache.h" nogil:
    ctypedef struct bf_cache:
        pass

    ctypedef enum bf_cache_kind:
        BF_CACHED_BLOCK
        BF_CACHED_RECORD
        BF_CACHED_SOURCE

    bf_cache *bf_cache_new(uint64_t)
    void bf_cache_free(bf_cache *)
    uint64_t bf_cache_size(bf_cache *)
    void bf_cache_counts(bf_cache *, bf_cache_kind, uint64_t *, uint64_t *)


cdef extern from "source.h" nogil:
    enum:
        BF_OPEN_FILE

    ctypedef struct bf_source_kind:
        uint64_t raw_size
        uint64_t opened_ns
        uint32_t max_block

    ctypedef struct bf_source:
        uint64_t version

    bf_status bf_source_from_bytes(const uint8_t *, uint64_t, const bf_source_kind *,
                                   bf_source **, bf_error *)
    bf_status bf_source_from_part(int, uint64_t, uint64_t, const bf_source_kind *, bf_source **,
                                  bf_error *)
    bf_status bf_source_absent(int8_t, const char *, const bf_source_kind *, bf_source **,
                               bf_error *)


cdef extern from "rows.h" nogil:
    ctypedef struct bf_rows:
        bf_cache *cache
        uint32_t owner

    ctypedef struct bf_frame_source:
        const uint8_t *index
        uint64_t index_size
        const uint8_t *span
        uint64_t span_start
        uint64_t span_size
        uint64_t size
        uint64_t id
        uint64_t version

    ctypedef struct bf_row:
        const bf_planes *planes
        uint32_t num_samples
        uint32_t ploidy
        int wide

    ctypedef struct bf_extra:
        bf_rows *phased
        const uint32_t *phased_rows
        const float *values
        uint32_t num_values
        uint64_t row_values

    ctypedef struct bf_output:
        uint8_t *out
        uint64_t size
        const uint64_t *offsets
        uint64_t record_size

    ctypedef bf_status (*bf_encode_record)(const void *, const bf_row *, uint64_t, uint8_t *,
                                           uint64_t, bf_error *) noexcept

    bf_status bf_rows_init(bf_rows *, uint32_t, uint32_t, uint32_t, uint32_t, const uint32_t *,
                           const bf_gather *, bf_error *)
    void bf_rows_free(bf_rows *)
    uint64_t bf_rows_size(const bf_rows *)
    bf_status bf_rows_set_frame(bf_rows *, uint32_t, const bf_frame_source *, bf_error *)
    bf_status bf_rows_set_packed(bf_rows *, uint32_t, const bf_planes *, uint64_t, uint32_t,
                                 uint32_t, bf_error *)
    void bf_rows_clear(bf_rows *)
    bf_status bf_rows_set_constant(bf_rows *, uint32_t, int8_t, bf_error *)
    bf_status bf_rows_read(bf_rows *, uint32_t, bf_row *, bf_error *)
    bf_status bf_rows_find_full(bf_rows *, const uint32_t *, uint64_t, uint32_t *, uint64_t *,
                                bf_error *)
    bf_status bf_rows_encode(bf_rows *, const uint32_t *, uint64_t, const bf_extra *,
                             bf_encode_record, const void *, uint64_t, const bf_output *,
                             bf_error *)


cdef extern from "count.h" nogil:
    enum:
        BF_COUNT_MORE

    bf_status bf_rows_count(bf_rows *, const uint32_t *, uint64_t, uint32_t, uint64_t *,
                            bf_error *)


cdef extern from "split.h" nogil:
    ctypedef struct bf_split_alt:
        uint16_t number

    ctypedef struct bf_split:
        const bf_split_alt *alts
        uint64_t num_records
        int others_missing
        bf_encode_record encode
        const void *encoder

    bf_status bf_split_encode(
        const void *, const bf_row *, uint64_t, uint8_t *, uint64_t, bf_error *)


cdef extern from "plink1.h" nogil:
    bf_status bf_plink1_encode(const void *, const bf_row *, uint64_t, uint8_t *, uint64_t,
                               bf_error *) noexcept


cdef extern from "call_values.h" nogil:
    ctypedef enum bf_call_field:
        BF_FIELD_GT
        BF_FIELD_GP
        BF_FIELD_DS


cdef extern from "plink2.h" nogil:
    ctypedef struct bf_plink2:
        bf_call_field field
        int calls

    uint64_t bf_plink2_record_size(const bf_plink2 *, uint32_t)
    bf_status bf_plink2_encode(const void *, const bf_row *, uint64_t, uint8_t *, uint64_t,
                               bf_error *) noexcept


cdef extern from "values.h" nogil:
    ctypedef struct bf_values:
        unsigned item_size

    bf_status bf_values_init(bf_values *, uint32_t, uint64_t, unsigned, bf_error *)
    void bf_values_free(bf_values *)
    bf_status bf_values_read(bf_values *, const bf_frame_source *, const uint32_t *, uint64_t,
                             uint64_t, uint8_t *, uint64_t, bf_error *)


cdef extern from "text_cells.h" nogil:
    ctypedef struct bf_text_chunk:
        const uint8_t *bytes
        uint64_t size
        uint64_t rows
        uint64_t row_texts
        uint32_t num_values

    bf_status bf_text_cells_width(const bf_text_chunk *, uint64_t, uint32_t *, bf_error *)
    bf_status bf_text_cells_write(const bf_text_chunk *, uint64_t, uint64_t, uint64_t, uint32_t,
                                  uint8_t *, uint64_t, bf_error *)


cdef extern from "bgen.h" nogil:
    ctypedef struct bf_bgen:
        bf_call_field field
        unsigned bits
        int haploid_as_diploid
        const uint8_t *heads
        uint64_t heads_size
        const uint64_t *offsets
        uint64_t num_records

    uint64_t bf_bgen_data_size(const bf_bgen *, uint32_t, uint32_t)
    bf_status bf_bgen_encode(const void *, const bf_row *, uint64_t, uint8_t *, uint64_t,
                             bf_error *) noexcept


cdef extern from "bcf.h" nogil:
    ctypedef struct bf_bcf_format:
        char code
        char per
        uint32_t num_values
        const uint8_t *key
        uint32_t key_size

    ctypedef struct bf_bcf:
        unsigned width
        const uint8_t *prefix
        uint32_t prefix_size
        const bf_bcf_format *formats
        uint32_t num_formats
        const uint8_t *heads
        uint64_t heads_size
        const uint64_t *head_offsets
        const uint64_t *offsets
        uint64_t num_records

    ctypedef struct bf_bcf_values:
        const uint8_t *values
        uint64_t size
        uint32_t num_samples
        uint32_t ploidy
        uint64_t first_record
        uint64_t num_records

    unsigned bf_bcf_stored_bytes(char)
    uint64_t bf_bcf_data_size(const bf_bcf *, uint32_t, uint32_t, uint32_t)
    bf_status bf_bcf_put_format(const bf_bcf *, uint32_t, const bf_bcf_values *, uint8_t *,
                                uint64_t, bf_error *)
    bf_status bf_bcf_encode(const void *, const bf_row *, uint64_t, uint8_t *, uint64_t,
                            bf_error *) noexcept


cdef extern from "bgzf.h" nogil:
    uint64_t bf_bgzf_size(uint64_t)


cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len


cdef extern from "engine.h" nogil:
    ctypedef struct bf_array:
        uint32_t chunk_rows
        uint32_t num_chunks
        const uint32_t *columns
        bf_source_kind kind
        int local
        const char *prefix
        const char *separator
        const char *tail

    ctypedef struct bf_file:
        const uint8_t *header
        uint64_t header_size
        uint64_t size
        uint64_t records
        const uint32_t *variants
        uint64_t first
        uint64_t record_size
        const uint64_t *offsets
        bf_encode_record encode
        const void *encoder
        int genotypes
        int phased
        int framed

    ctypedef struct bf_watched:
        const char *path

    enum:
        BF_MAX_ARRAYS
        BF_MAX_IOV

    ctypedef struct bf_context:
        bf_rows **rows
        int64_t *bound
        bf_source ***sources
        uint8_t *out
        uint8_t *blocks
        iovec *iov
        int num_iov
        bf_context *next

    ctypedef struct pthread_mutex_t:
        pass

    int pthread_mutex_lock(pthread_mutex_t *)
    int pthread_mutex_unlock(pthread_mutex_t *)

    enum:
        BF_MAX_RUNS

    ctypedef struct bf_run:
        uint32_t file
        uint32_t reads
        uint64_t first
        uint64_t position

    ctypedef struct bf_runs:
        bf_run *runs

    int bf_run_is_active(const bf_runs *, const bf_run *)
    int bf_run_goes_on(const bf_run *)

    ctypedef struct bf_engine:
        int folder
        const bf_array *arrays
        uint32_t num_arrays
        const bf_file *files
        uint32_t num_files
        bf_watched *watched
        uint32_t num_watched
        uint64_t ahead_bytes
        bf_cache *cache
        bf_cache *open_files
        uint64_t *counters
        uint64_t held_elsewhere
        int changed
        bf_context *contexts
        pthread_mutex_t lock
        bf_runs runs

    ctypedef struct bf_place:
        int array
        uint64_t chunk_row
        uint32_t chunk

    bf_status bf_engine_init(bf_engine *, bf_error *)
    void bf_engine_free(bf_engine *)
    bf_context *bf_engine_enter(bf_engine *, int)
    void bf_engine_leave(bf_engine *, bf_context *)
    bf_status bf_engine_read(bf_engine *, bf_context *, uint32_t, uint64_t, uint64_t, bf_place *,
                             bf_error *)
    void bf_engine_end(bf_engine *, bf_context *)
    int bf_engine_ahead(bf_engine *, bf_place *)
    void bf_engine_give(bf_engine *, const bf_place *, bf_source *)
    int bf_engine_has_row(bf_engine *, uint32_t, uint64_t) nogil
    int bf_watched_look(int, bf_watched *)
    uint32_t bf_engine_runs(bf_engine *)
    void bf_engine_publish(bf_engine *)


cdef extern from "counters.h" nogil:
    enum:
        BF_COUNT_READS
        BF_COUNT_BYTES
        BF_NUM_COUNTERS

    void bf_count(uint64_t *, int, uint64_t)


cdef extern from "bgen_compress.h" nogil:
    ctypedef enum bf_bgen_method:
        BF_BGEN_ZLIB
        BF_BGEN_ZSTD

    uint64_t bf_bgen_compress_room(uint64_t, uint64_t)
    bf_status bf_bgen_compress(
        const uint8_t *, const uint64_t *, uint64_t, bf_bgen_method, int, uint8_t *, uint64_t,
        uint64_t *, bf_error *)


cdef extern from "bgzf_compress.h" nogil:
    bf_status bf_bgzf_compress(
        const uint8_t *, const uint64_t *, uint64_t, int, uint8_t *, uint64_t *, bf_error *)


cdef extern from "write.h" nogil:
    void bf_copy_out(const iovec *, int, uint8_t *)
    int bf_write_at(int, iovec *, int, uint64_t)


cdef extern from "answer.h" nogil:
    ctypedef struct bf_request:
        uint32_t slot
        uint32_t file
        uint64_t unique
        uint64_t offset
        uint32_t size

    ctypedef struct bf_door:
        int socket
        int fuse
        uint8_t *table
        uint64_t table_size

    ctypedef enum bf_arrival:
        BF_DOOR_END
        BF_DOOR_NOTHING
        BF_DOOR_REQUEST

    bf_arrival bf_door_receive(const bf_door *, int, bf_request *)
    int bf_door_answer(const bf_door *, const bf_request *, iovec *, int)


cdef extern from "texts.h" nogil:
    ctypedef struct bf_texts:
        const uint8_t *data
        uint64_t data_size
        const uint64_t *starts
        const uint32_t *sizes
        uint64_t count
        const uint8_t *instead
        uint32_t instead_size

    ctypedef struct bf_text:
        const uint8_t *data
        uint32_t size

    uint64_t bf_texts_rows_size(const bf_texts *, uint64_t)
    void bf_texts_write_rows(const bf_texts *, uint64_t, uint8_t, uint8_t *)
    bf_status bf_texts_check(const bf_texts *, bf_error *)
    uint64_t bf_texts_size(const bf_texts *)
    bf_status bf_texts_from_vlen(const uint8_t *, uint64_t, uint64_t, uint64_t, uint64_t *,
                                 uint32_t *, bf_error *)


cdef extern from "variant_ids.h" nogil:
    ctypedef enum bf_id_kind:
        BF_ID_TEXT
        BF_ID_CHROM
        BF_ID_POSITION
        BF_ID_REF
        BF_ID_ALT
        BF_ID_FIRST
        BF_ID_SECOND

    ctypedef struct bf_id_part:
        bf_id_kind kind
        bf_text text

    ctypedef struct bf_variant_ids:
        bf_texts chrom
        bf_texts ref
        bf_texts alt
        const int64_t *positions
        const bf_id_part *parts
        uint64_t num_parts

    bf_status bf_variant_ids_room(const bf_variant_ids *, const uint64_t *, uint64_t, uint64_t *,
                                  bf_error *)
    void bf_variant_ids_write(const bf_variant_ids *, const uint64_t *, uint64_t, uint8_t *,
                              uint64_t *, uint32_t *)


cdef extern from "bim.h" nogil:
    ctypedef struct bf_bim:
        bf_texts chrom
        bf_texts id
        bf_texts a1
        bf_texts a2
        const int64_t *positions
        const bf_texts *cm

    uint64_t bf_bim_room(const bf_bim *)
    bf_status bf_bim_write(const bf_bim *, uint8_t *, uint64_t *, bf_error *)


cdef extern from "floats.h" nogil:
    enum:
        BF_FLOAT_SIZE
    uint8_t *bf_put_centimorgans(uint8_t *, double)


cdef extern from "pvar.h" nogil:
    ctypedef struct bf_pvar:
        bf_texts chrom
        bf_texts id
        bf_texts ref
        bf_texts alt
        const int64_t *positions
        const float *quality
        const bf_texts *filter
        const bf_texts *info
        const bf_texts *cm

    uint64_t bf_pvar_room(const bf_pvar *)
    bf_status bf_pvar_write(const bf_pvar *, uint8_t *, uint64_t *, bf_error *)

    ctypedef enum bf_info_kind:
        BF_INFO_FLAG
        BF_INFO_INT32
        BF_INFO_INT64
        BF_INFO_FLOAT
        BF_INFO_TEXT

    ctypedef struct bf_info_field:
        bf_text key
        bf_info_kind kind
        uint32_t width
        const void *values
        bf_texts texts

    uint64_t bf_info_room(const bf_info_field *, uint64_t, uint64_t)
    bf_status bf_info_write(const bf_info_field *, uint64_t, uint64_t, uint8_t *, uint64_t *,
                            uint32_t *, bf_error *)


cdef extern from "bgen_heads.h" nogil:
    ctypedef struct bf_bgen_heads:
        bf_texts varid
        bf_texts rsid
        bf_texts chrom
        bf_texts allele1
        bf_texts allele2
        const int64_t *positions

    uint64_t bf_bgen_heads_size(const bf_bgen_heads *)
    bf_status bf_bgen_heads_write(const bf_bgen_heads *, uint8_t *, uint32_t *, bf_error *)
    bf_status bf_bgen_samples_write(const bf_texts *, uint8_t *, bf_error *)


cdef extern from "csi.h" nogil:
    ctypedef struct bf_csi:
        pass

    ctypedef struct bf_csi_sites:
        uint64_t count
        const int32_t *contigs
        const int64_t *positions
        const int32_t *lengths
        const uint64_t *offsets

    void bf_csi_init(bf_csi *, uint32_t)
    void bf_csi_free(bf_csi *)
    bf_status bf_csi_add(bf_csi *, const bf_csi_sites *, bf_error *)
    bf_status bf_csi_finish(bf_csi *, bf_error *)
    uint64_t bf_csi_size(const bf_csi *)
    void bf_csi_write(const bf_csi *, uint8_t *)


cdef extern from "bcf_heads.h" nogil:
    ctypedef enum bf_bcf_kind:
        BF_BCF_FLAG
        BF_BCF_INT
        BF_BCF_FLOAT
        BF_BCF_TEXT

    ctypedef struct bf_bcf_field:
        bf_bcf_kind kind
        uint32_t key
        uint32_t width
        const void *values
        bf_texts texts

    ctypedef struct bf_bcf_heads:
        uint64_t count
        const int32_t *contigs
        const int64_t *positions
        const int32_t *lengths
        const uint32_t *qualities
        bf_texts ids
        bf_texts alleles
        uint32_t max_alleles
        const uint8_t *filters
        uint32_t num_filters
        const uint32_t *filter_keys
        const bf_bcf_field *fields
        uint32_t num_fields
        uint32_t num_samples
        uint32_t ploidy
        const bf_bcf *records

    uint64_t bf_bcf_heads_room(const bf_bcf_heads *)
    bf_status bf_bcf_heads_write(const bf_bcf_heads *, uint8_t *, uint64_t, uint32_t *, uint32_t *,
                                 uint64_t *, bf_error *)


cdef extern from "btree.h" nogil:
    enum:
        BF_BTREE_PAGE

    ctypedef struct bf_btree:
        uint64_t next
        uint8_t *out
        uint64_t out_size

    void bf_btree_free(bf_btree *)


cdef extern from "bgi.h" nogil:
    ctypedef struct bf_bgi:
        bf_texts chrom
        bf_texts rsid
        bf_texts allele1
        bf_texts allele2
        const int64_t *positions
        const uint64_t *offsets

    ctypedef struct bf_bgi_run:
        uint64_t at
        uint64_t end

    ctypedef struct bf_bgi_merge:
        bf_btree tree
        int done

    uint64_t bf_bgi_room(const bf_bgi *)
    bf_status bf_bgi_write(const bf_bgi *, uint32_t *, uint32_t *, uint8_t *, uint64_t *,
                           bf_error *)
    bf_status bf_bgi_merge_init(bf_bgi_merge *, const uint8_t *, bf_bgi_run *, uint64_t, uint32_t,
                                bf_error *)
    bf_status bf_bgi_merge_some(bf_bgi_merge *, uint64_t, uint8_t *, bf_error *)
