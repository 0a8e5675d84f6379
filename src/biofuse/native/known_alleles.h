/* Whether calls have alleles that their site has. */
#ifndef BF_KNOWN_ALLELES_H
#define BF_KNOWN_ALLELES_H

#include "rows.h"

/* BF_ERR_ALLELE, with the sample, if a call has an allele beyond the site's num_alleles, or a value
 * below -2, which stands for alleles too that a row cannot hold. */
bf_status bf_known_alleles(const bf_row *row, unsigned num_alleles, bf_error *err);

#endif
