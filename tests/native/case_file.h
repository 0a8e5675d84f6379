/* Streamed files of every format, and the bytes that they are to have. */
#ifndef BF_TEST_CASE_FILE_H
#define BF_TEST_CASE_FILE_H

#include "bcf.h"
#include "bgen.h"
#include "engine.h"
#include "plink2.h"
#include "split.h"

typedef enum { CASE_BED, CASE_PGEN, CASE_BGEN, CASE_BCF, CASE_FORMATS } case_format;

enum { CASE_ALLELES = 3 };

/* What a file shows, and how. split: two records of each variant, whose sites are of CASE_ALLELES
 * alleles; if not, a site has as many in a BCF, and two in others. */
typedef struct {
    case_format format;
    unsigned width; /* bytes of a probability of a BGEN's, of an allele of a BCF's */
    int haploid_as_diploid, phased, split, others_missing, framed;
    uint32_t variants, samples, ploidy;
} case_file_kind;

/* A file that an engine makes, with what it is made by. */
typedef struct {
    case_file_kind kind;
    bf_file file;
    bf_plink2 plink2;
    bf_bgen bgen;
    bf_bcf bcf;
    bf_split split;
    bf_split_alt *alts;
    uint8_t *heads;
    uint64_t *offsets;
    uint32_t *variants;
} case_file;

/* Alleles that a site may have. */
unsigned case_file_alleles(const case_file_kind *kind);

/* Its genotypes are array 0 of the engine, and where kind says so array 1 tells which are phased. */
void case_file_init(case_file *self, const case_file_kind *kind);
void case_file_free(case_file *self);

/* All bytes of the file, to be freed, which are made of whole rows, one record after another.
 * Ends the process if records of a .bed differ from a naive encoder's.
 *
 * alleles: variants x samples x ploidy. phased: variants x samples, where kind has it. */
uint8_t *case_file_bytes(
    const case_file *self, const int8_t *alleles, const int8_t *phased, uint64_t *size);

#endif
