#include "case_file.h"

#include <stdlib.h>

#include "bgzf.h"
#include "case.h"

enum { HEADER_SIZE = 3, HEAD = 33, HEADS = 7, NUM_ALLELES_AT = 26, PER_SITE = 2 };

static const uint8_t HEADER[HEADER_SIZE] = { 0x6c, 0x1b, 0x01 };
static const uint8_t PREFIX[] = { 0x11, 7, 0x21 };

unsigned
case_file_alleles(const case_file_kind *kind)
{
    return kind->split || kind->format == CASE_BCF ? CASE_ALLELES : 2;
}

/* Records of many sizes: what precedes genotypes is of HEAD bytes and a few more. */
static void
make_heads(case_file *self, uint64_t data)
{
    uint64_t records = self->file.records, at = 0;
    unsigned alleles = self->kind.split ? 2 : case_file_alleles(&self->kind);

    self->offsets = malloc((records + 1) * sizeof(*self->offsets));
    self->heads = calloc(records, HEAD + HEADS);
    self->offsets[0] = HEADER_SIZE;
    for (uint64_t r = 0; r < records; r++) {
        uint64_t head = HEAD + r % HEADS;

        memset(self->heads + at, (int) r & 0x7f, head);
        self->heads[at + NUM_ALLELES_AT] = (uint8_t) alleles;
        self->heads[at + NUM_ALLELES_AT + 1] = 0;
        at += head;
        self->offsets[r + 1] = self->offsets[r] + head + data;
    }
    self->file.offsets = self->offsets;
    self->file.size = self->offsets[records];
    self->bgen.heads = self->bcf.heads = self->heads;
    self->bgen.heads_size = self->bcf.heads_size = at;
    self->bgen.offsets = self->bcf.offsets = self->offsets;
    self->bgen.num_records = self->bcf.num_records = records;
}

static void
set_encoder(case_file *self)
{
    const case_file_kind *kind = &self->kind;
    bf_file *file = &self->file;

    switch (kind->format) {
    case CASE_BGEN:
        self->bgen.bits = 8 * kind->width;
        self->bgen.haploid_as_diploid = kind->haploid_as_diploid;
        make_heads(self, bf_bgen_data_size(&self->bgen, kind->samples, kind->ploidy));
        file->encode = bf_bgen_encode;
        file->encoder = &self->bgen;
        return;
    case CASE_BCF:
        self->bcf.width = kind->width;
        self->bcf.prefix = PREFIX;
        self->bcf.prefix_size = sizeof(PREFIX);
        make_heads(self, bf_bcf_data_size(&self->bcf, kind->samples, kind->ploidy, 2));
        file->encode = bf_bcf_encode;
        file->encoder = &self->bcf;
        return;
    default:
        self->plink2.calls = 1;
        file->encode = kind->format == CASE_PGEN ? bf_plink2_encode : bf_plink1_encode;
        file->encoder = &self->plink2;
        file->record_size = (kind->samples + 3) / 4;
        file->size = HEADER_SIZE + file->records * file->record_size;
    }
}

static void
set_split(case_file *self)
{
    uint64_t records = self->file.records;

    self->alts = malloc(records * sizeof(*self->alts));
    self->variants = malloc(records * sizeof(*self->variants));
    for (uint64_t r = 0; r < records; r++) {
        self->alts[r] = (bf_split_alt){ (uint16_t) (1 + r % PER_SITE), CASE_ALLELES };
        self->variants[r] = (uint32_t) (r / PER_SITE);
    }
    self->split = (bf_split){ self->alts, records, self->kind.others_missing, self->file.encode,
        self->file.encoder };
    self->file.variants = self->variants;
    self->file.encode = bf_split_encode;
    self->file.encoder = &self->split;
}

void
case_file_init(case_file *self, const case_file_kind *kind)
{
    *self = (case_file){ .kind = *kind };
    self->file.framed = kind->framed;
    self->file.header = HEADER;
    self->file.header_size = HEADER_SIZE;
    self->file.records = (uint64_t) kind->variants * (kind->split ? PER_SITE : 1);
    self->file.phased = kind->phased ? 1 : -1;
    set_encoder(self);
    if (kind->split) {
        set_split(self);
    }
}

void
case_file_free(case_file *self)
{
    free(self->alts);
    free(self->heads);
    free(self->offsets);
    free(self->variants);
}

/* Values of all variants, as rows of one chunk. */
static void
make_rows(bf_rows *rows, bf_planes *planes, const int8_t *values, uint32_t variants,
    uint32_t samples, uint32_t ploidy)
{
    uint64_t row = (uint64_t) samples * ploidy, count = variants * row;
    bf_error err;

    if (bf_planes_alloc(planes, count, &err) != BF_OK
        || bf_planes_from_bytes(planes, (const uint8_t *) values, count, &err) != BF_OK
        || bf_rows_init(rows, variants, samples, ploidy, 1, &samples, NULL, &err) != BF_OK
        || bf_rows_set_packed(rows, 0, planes, row, 0, variants, &err) != BF_OK) {
        case_fail("rows are not taken");
    }
}

static void
check_bed(const case_file_kind *kind, const int8_t *alleles, const uint8_t *record)
{
    static const uint8_t code[3] = { 3, 2, 0 };

    for (uint32_t s = 0; s < kind->samples; s++) {
        const int8_t *call = alleles + (uint64_t) s * kind->ploidy;
        int first = call[0], second = kind->ploidy == 1 || call[1] == -2 ? first : call[1];
        unsigned wanted = first < 0 || second < 0 ? 1 : code[first + second];

        if ((record[s / 4] >> 2 * (s % 4) & 3) != wanted) {
            case_fail("a call of a .bed differs from the naive encoder's");
        }
    }
}

/* The file that frames a stream, which is freed. */
static uint8_t *
make_framed(uint8_t *stream, uint64_t size)
{
    uint8_t *out = malloc(bf_bgzf_size(size)), *block = out;

    for (uint64_t at = 0; at < size; at += BF_BGZF_PAYLOAD) {
        uint64_t left = size - at < BF_BGZF_PAYLOAD ? size - at : BF_BGZF_PAYLOAD;

        memcpy(block + BF_BGZF_HEAD, stream + at, left);
        bf_bgzf_close(block, (uint32_t) left);
        block += left + BF_BGZF_AROUND;
    }
    memcpy(block, bf_bgzf_end, BF_BGZF_END);
    free(stream);
    return out;
}

uint8_t *
case_file_bytes(
    const case_file *self, const int8_t *alleles, const int8_t *phased, uint64_t *size)
{
    const case_file_kind *kind = &self->kind;
    const bf_file *file = &self->file;
    uint8_t *out = malloc(file->size);
    uint64_t at = HEADER_SIZE;
    bf_planes planes, flags;
    bf_rows rows, phased_rows;

    make_rows(&rows, &planes, alleles, kind->variants, kind->samples, kind->ploidy);
    if (kind->phased) {
        make_rows(&phased_rows, &flags, phased, kind->variants, kind->samples, 1);
    }
    memcpy(out, HEADER, HEADER_SIZE);
    for (uint64_t r = 0; r < file->records; r++) {
        uint32_t variant = file->variants != NULL ? file->variants[r] : (uint32_t) r;
        uint64_t end = file->offsets != NULL ? file->offsets[r + 1] : at + file->record_size;
        bf_output output = { .out = out + at, .size = end - at, .record_size = end - at };
        bf_extra extra
            = { .phased = kind->phased ? &phased_rows : NULL, .phased_rows = &variant };
        bf_error err = { .status = BF_OK };

        if (bf_rows_encode(&rows, &variant, 1, &extra, file->encode, file->encoder, r, &output, &err)
            != BF_OK) {
            case_fail(err.detail != NULL ? err.detail : "a record cannot be made");
        }
        if (kind->format == CASE_BED && !kind->split) {
            check_bed(kind, alleles + (uint64_t) variant * kind->samples * kind->ploidy, out + at);
        }
        at = end;
    }
    bf_rows_free(&rows);
    bf_planes_free(&planes);
    if (kind->phased) {
        bf_rows_free(&phased_rows);
        bf_planes_free(&flags);
    }
    *size = kind->framed ? bf_bgzf_size(file->size) : file->size;
    return kind->framed ? make_framed(out, file->size) : out;
}
