/* SPDX-License-Identifier: MIT */
/* mm_priv.h: the internal headers of mm/, for tests/; no source of mm/ includes it. */
#ifndef QUARRY_MM_PRIV_H
#define QUARRY_MM_PRIV_H

#include "mm/alloc.h"
#include "mm/buddy.h"
#include "mm/check.h"
#include "mm/drain.h"
#include "mm/entry.h"
#include "mm/event.h"
#include "mm/isolate.h"
#include "mm/offline.h"
#include "mm/page.h"
#include "mm/page_assert.h"
#include "mm/pcp.h"
#include "mm/range.h"
#include "mm/reclaim.h"
#include "mm/zone.h"
#include <quarry/contig.h>
#include <quarry/sched_point.h>

#endif
