/* .pgen records of dosages, checked against a naive encoder one call at a time. */
#ifndef BF_TEST_CASE_PLINK2_H
#define BF_TEST_CASE_PLINK2_H

#include "case_bgen.h"

/* Encode row `number` of rows as a .pgen record, with a store's calls and without; of the case
 * `bits`, `phased` and `haploid_as_diploid` don't count. Ends the process if the record is not
 * what it must be, or if what cannot be shown is, or the other way round. */
void case_check_plink2(bf_rows *rows, uint32_t number, const bgen_case *c);

#endif
